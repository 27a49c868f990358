import BackupEngine
import BackupFormat
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import BackupSources

private let packBytes = 4_096
private let day: UInt64 = 86_400

/// A device's ledger in memory.
private final class MemoryLedger: LedgerStorage {
    let bytes = Mutex<[UInt8]?>(nil)
    func load() -> [UInt8]? { bytes.withLock { $0 } }
    func save(_ bytes: [UInt8]) { self.bytes.withLock { $0 = bytes } }
}

@Suite struct `Reading a part of the packs` {
    private let store = MemoryStore()
    private let ledger = MemoryLedger()

    private func wing() async throws -> Wing {
        let wing = try await Wing(store)
        try await wing.backUp(
            MemorySource(
                Dictionary(uniqueKeysWithValues: (0..<30).map { ("\($0)", noise(700 + 500 * $0, seed: UInt64($0))) })),
            packBytes: packBytes)
        return wing
    }

    private func read(
        _ wing: Wing, percent: Double = 10, days: UInt64 = 0, ledger: (any LedgerStorage)?, seed: UInt64 = 1
    ) async throws -> PackSampleReport {
        try await PackSample.run(
            try await wing.open(), percent: percent, ledger: ledger, now: Wing.now + days * day,
            generator: SeededGenerator(seed: seed), report: { _ in })
    }

    private var packs: [ObjectName] { store.names.filter { if case .pack = $0 { true } else { false } } }

    @Test func `comes round to every pack, and says how much it has seen of late`() async throws {
        let wing = try await wing()
        var covered: [Int] = []
        for run in 0..<10 as Range<UInt64> {
            let report = try await read(wing, days: run, ledger: ledger, seed: run)
            #expect(report.damaged == [] && report.packsRead < packs.count / 5 && report.packs == packs.count)
            covered.append(report.coveredPercent)
        }
        #expect(zip(covered, covered.dropFirst()).allSatisfy { $0 < $1 }, "\(covered)")
        #expect(covered.last == 100)
        // After 35 days the first runs do not count any more.
        let later = try await read(wing, percent: 1, days: 35, ledger: ledger)
        #expect(later.coveredPercent < 60 && later.coveredPercent > 20)
        #expect(try await read(wing, percent: 100, days: 36, ledger: ledger).coveredPercent == 100)
        // New packs count as never read, and come first.
        try await wing.backUp(MemorySource(["new": noise(9_000, seed: 99)]), packBytes: packBytes)
        let grown = try await read(wing, percent: 1, days: 36, ledger: ledger)
        #expect(grown.coveredPercent < 100)
    }

    @Test func `finds every damaged pack in one round, and looks at it again each time`() async throws {
        let wing = try await wing()
        let whole = store.contents
        for pack in packs {
            for damage in 0..<3 {
                store.contents = whole
                let object = try #require(whole[pack])
                switch damage {
                case 0: store.contents[pack]?[object.count / 2] ^= 1
                case 1: store.contents[pack] = Array(object.dropLast(1))
                default: store.contents[pack]?[object.count - 3] ^= 0x80
                }
                let report = try await read(wing, percent: 100, ledger: ledger)
                #expect(report.damaged == [pack.path] && report.coveredPercent < 100, "\(damage)")
            }
        }
        let first = try await read(wing, percent: 0.1, days: 1, ledger: ledger)
        #expect(first.packsRead == 1 && first.damaged.count == 1, "what was damaged counts as never read")
    }

    @Test func `takes a pack for sound whose last chunk went on in one that is gone`() async throws {
        let wing = try await wing()
        let whole = store.contents
        for pack in packs {
            store.contents = whole
            store.contents[pack] = nil
            let report = try await read(wing, percent: 100, ledger: MemoryLedger())
            #expect(report.damaged.allSatisfy { $0 == pack.path }, "\(pack.path)")
        }
    }

    @Test func `begins again if the ledger is damaged, cut, another store's or from the future`() async throws {
        let wing = try await wing()
        _ = try await read(wing, percent: 100, ledger: ledger)
        let bytes = try #require(ledger.load())
        func covered(_ bytes: [UInt8], days: UInt64 = 0) async throws -> Int {
            let other = MemoryLedger()
            other.save(bytes)
            return try await read(wing, percent: 0.1, days: days, ledger: other).coveredPercent
        }
        #expect(try await covered(bytes) == 100)
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<20 {
            var altered = bytes
            altered[Int.random(in: 0..<bytes.count, using: &generator)] ^=
                1 << UInt8.random(in: 0..<8, using: &generator)
            #expect(try await covered(altered) < 10)
            #expect(try await covered(Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &generator)))) < 10)
        }
        let other = try await Wing(MemoryStore(), seed: 2)
        try await other.backUp(MemorySource(["a": [1]]))
        let foreign = MemoryLedger()
        _ = try await read(other, percent: 100, ledger: foreign)
        #expect(try await covered(try #require(foreign.load())) < 10)
        // A clock that was set back.
        let past = MemoryLedger()
        past.save(bytes)
        let report = try await PackSample.run(
            try await wing.open(), percent: 0.1, ledger: past, now: Wing.now - day,
            generator: SeededGenerator(seed: 1), report: { _ in })
        #expect(report.coveredPercent < 10)
    }

    @Test(arguments: [FaultyStore.Fault.failure, .lostAnswer])
    func `says nothing of a pack when the store cannot be read, and keeps what was read before`(
        fault: FaultyStore.Fault
    ) async throws {
        let wing = try await wing()
        let counting = FaultyStore(store, .failure, atCall: .max)
        _ = try await read(wing.over(counting), percent: 50, ledger: nil)
        var remembered = 0
        for call in stride(from: 0, to: counting.callCount, by: 7) {
            let own = MemoryLedger()
            let done = try? await read(wing.over(FaultyStore(store, fault, atCall: call)), percent: 50, ledger: own)
            #expect(done == nil || done?.damaged == [])
            if let bytes = own.load(), bytes.count > 100 { remembered += 1 }
        }
        #expect(remembered > 3)
    }

    @Test func `keeps its ledger in a file of the owner's`() throws {
        let folder = try TemporaryFolder()
        let file = LedgerFile(path: folder("ledger"))
        #expect(file.load() == nil)
        file.save([1, 2, 3])
        file.save([4, 5])
        #expect(file.load() == [4, 5])
        var status = stat()
        try require(stat(folder("ledger"), &status) == 0, "stat")
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try names(in: Array(folder.path.utf8)).count == 1)
        try require(mkfifo(folder("pipe"), 0o600) == 0, "mkfifo")
        #expect(LedgerFile(path: folder("pipe")).load() == nil)
        LedgerFile(path: folder("nowhere/ledger")).save([1])
    }
}
