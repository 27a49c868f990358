import BackupFormat
import Foundation
import TestSupport
import Testing

@testable import BackupEngine

private let packBytes = 4_096
private let day: UInt64 = 86_400

/// Each version shares half of its files with the one before.
private func contents(_ version: Int) -> [String: [UInt8]] {
    Dictionary(
        uniqueKeysWithValues: (version..<version + 4).map { number in
            ("folder-\(number % 2)/file-\(number)", noise(900 + 431 * number, seed: UInt64(number)))
        })
}

private func isPack(_ name: ObjectName) -> Bool { if case .pack = name { true } else { false } }
private func isRemoval(_ name: ObjectName) -> Bool { if case .removal = name { true } else { false } }
private func isSnapshot(_ name: ObjectName) -> Bool { if case .snapshot = name { true } else { false } }

extension Wing {
    @discardableResult
    fileprivate func prune(
        keepLast: Int = 10, graceSeconds: UInt64 = day, days: UInt64 = 0, wastePercentMax: Int = 100,
        knowing known: KnownSnapshots = KnownSnapshots(), acceptsMissing: Bool = false,
        keepFirst: Int? = nil, isTrial: Bool = false
    ) async throws -> PruneReport {
        try await Prune.run(
            try await open(),
            keeping: { snapshots in
                let names = snapshots.map(\.name).sorted()
                return Set(keepFirst.map { names.prefix($0) } ?? names.suffix(keepLast))
            }, knowing: known,
            options: Prune.Options(
                graceSeconds: graceSeconds, wastePercentMax: wastePercentMax, acceptsMissing: acceptsMissing,
                isTrial: isTrial),
            now: Wing.now + days * day, generator: SystemRandomNumberGenerator())
    }

    fileprivate func head(of object: ObjectName) async throws -> BackupHead {
        let repository = try await open()
        let name = try #require(try await repository.snapshotNames().first { .snapshot($0) == object })
        return try BackupHead(
            try await repository.snapshot(name), keyring: repository.keyring.number, header: repository.header,
            key: key)
    }

    @discardableResult
    fileprivate func repair() async throws -> RepairReport {
        try await Repair.run(
            try await open(), key: key, options: Repair.Options(), now: Self.now,
            generator: SystemRandomNumberGenerator(), report: { _ in })
    }

    /// The newest snapshots are those of these versions, whole, and nothing in the store is missed.
    fileprivate func expectWhole(_ versions: [Int], _ comment: Comment) async throws {
        let count = try await open().snapshotNames().count
        try #require(count >= versions.count, comment)
        for (number, version) in versions.enumerated() {
            let (files, report) = try await restored(number: count - versions.count + number)
            #expect(files == contents(version) && report.missing == [], comment)
        }
        #expect(try await verify().findings == [], comment)
    }
}

@Suite struct `Lists that lack something` {
    private let store = MemoryStore()
    private let versions = [0, 2, 4]

    private func wing() async throws -> Wing {
        let wing = try await Wing(store)
        for version in versions { try await wing.backUp(MemorySource(contents(version)), packBytes: packBytes) }
        return wing
    }

    private func snapshots() -> [ObjectName] { store.names.filter(isSnapshot) }

    /// What one list may lack: an object of each kind, or a folder.
    private func lacks(seed: UInt64) -> [(name: String, isHidden: @Sendable (ObjectName) -> Bool)] {
        var generator = SeededGenerator(seed: seed)
        var lacks: [(String, @Sendable (ObjectName) -> Bool)] = []
        for folder in ObjectName.Folder.allCases where folder != .keyring {
            let inside = store.names.filter { $0.path.hasPrefix("\(folder.rawValue)/") }
            if let one = inside.randomElement(using: &generator) { lacks.append((one.path, { $0 == one })) }
            if let last = inside.last, folder == .snapshots { lacks.append((last.path, { $0 == last })) }
            lacks.append(("all of \(folder)", { $0.path.hasPrefix("\(folder.rawValue)/") }))
        }
        return lacks
    }

    enum Work: CaseIterable {
        case pruneAtOnce, pruneWithWaste, prune, sweep, repair

        fileprivate var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
        fileprivate var kept: Int { self == .repair ? 3 : 2 }

        fileprivate func run(on wing: Wing) async throws {
            switch self {
            case .pruneAtOnce: try await wing.prune(keepLast: 2, graceSeconds: 0)
            case .pruneWithWaste: try await wing.prune(keepLast: 2, graceSeconds: 0, wastePercentMax: 1)
            case .prune: try await wing.prune(keepLast: 2)
            case .sweep: try await wing.prune(keepLast: 2, days: 2)
            case .repair: try await wing.repair()
            }
        }
    }

    @Test(arguments: Work.allCases)
    func `once, at any list in turn, cost nothing`(work: Work) async throws {
        let wing = try await wing()
        if work == .sweep { try await wing.prune(keepLast: 2) }
        let before = store.contents
        let counting = ForgetfulStore(MemoryStore(before)) { _ in false }
        try await work.run(on: wing.over(counting))
        for list in 0..<counting.listCount {
            // Over all kinds of work every list lacks everything in turn.
            let lacks = lacks(seed: UInt64(list)).enumerated()
            for (number, lack) in lacks where number % 3 == (list + work.place) % 3 {
                let inner = MemoryStore(before)
                let other = wing.over(inner)
                let forgetful = ForgetfulStore(inner, at: { $0 == list }, lacking: lack.isHidden)
                let done: Void? = try? await work.run(on: other.over(forgetful))
                let comment: Comment = "list \(list) lacked \(lack.name), done: \(done != nil)"
                try await other.expectWhole(Array(versions.suffix(work.kept)), comment)
                if work == .repair {
                    #expect(inner.names.filter(isRemoval).isEmpty, comment)
                } else {
                    // The next run ends the work.
                    try await other.prune(keepLast: 2, graceSeconds: 0, days: 3)
                    try await other.expectWhole(Array(versions.suffix(2)), comment)
                }
            }
        }
    }

    @Test func `of a snapshot, again and again, stop every prune, and nothing is deleted`() async throws {
        let wing = try await wing()
        let report = try await wing.prune(isTrial: true)
        let whole = store.contents
        let (first, second, newest) = (snapshots()[0], snapshots()[1], snapshots()[2])
        let head = try await wing.head(of: newest)
        let known: [(ObjectName, KnownSnapshots)] = [
            (first, KnownSnapshots()), (second, KnownSnapshots()),
            (newest, KnownSnapshots(heads: [head])), (newest, KnownSnapshots(own: head)),
            (newest, KnownSnapshots(seen: report.seen)),
        ]
        for (hidden, known) in known {
            for grace in [0, day] {
                let forgetful = wing.over(ForgetfulStore(store) { $0 == hidden })
                let error = await #expect(throws: PruneError.self) {
                    try await forgetful.prune(keepLast: 1, graceSeconds: grace, days: 5, knowing: known)
                }
                guard case .missingSnapshots(let missing)? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(missing.count == 1)
                #expect(store.contents == whole, "\(hidden.path)")
            }
        }
    }

    @Test func `of a snapshot beside another of its number are found out by who has seen it`() async throws {
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(contents(0)), packBytes: packBytes)
        // Two devices at the same moment.
        let both = MemoryStore(store.contents)
        try await wing.backUp(MemorySource(contents(2)), packBytes: packBytes)
        let other = wing.over(both)
        try await other.backUp(MemorySource(contents(4)), packBytes: packBytes)
        store.contents.merge(both.contents) { one, _ in one }
        try await wing.backUp(MemorySource(contents(6)), packBytes: packBytes)
        let twins = snapshots().filter { $0.path.contains("00000002-") }
        #expect(twins.count == 2)
        let seen = try await wing.prune(isTrial: true).seen
        #expect(seen.count == 4)
        let whole = store.contents
        for twin in twins {
            let forgetful = wing.over(ForgetfulStore(store) { $0 == twin })
            await #expect(throws: PruneError.self) {
                try await forgetful.prune(graceSeconds: 0, knowing: KnownSnapshots(seen: seen))
            }
            let own = try await wing.head(of: twin)
            await #expect(throws: PruneError.self) {
                try await forgetful.prune(graceSeconds: 0, knowing: KnownSnapshots(own: own))
            }
            #expect(store.contents == whole)
        }
    }

    @Test func `of all packs or of all indexes stop no repair, and condemn nothing`() async throws {
        let wing = try await wing()
        for folder in ["packs/", "index/"] {
            let before = store.contents
            let report = try await wing.over(ForgetfulStore(store) { $0.path.hasPrefix(folder) }).repair()
            #expect(report.damagedPacks == [] && report.lostCount == 0)
            #expect(before.allSatisfy { store.contents[$0.key] == $0.value })
            #expect(!store.names.contains(where: isRemoval))
            try await wing.expectWhole(versions, "\(folder)")
        }
        // A pack that is really gone is found out all the same.
        let pack = try #require(store.names.first(where: isPack))
        store.contents[pack] = nil
        #expect(try await wing.repair().damagedPacks == [pack.path])
    }

    @Test func `of what is there make no backup upload it again, and no restore or verification miss it`() async throws
    {
        let wing = try await wing()
        let whole = store.contents
        for folder in ["packs/", "index/"] {
            store.contents = whole
            let forgetful = wing.over(ForgetfulStore(store) { $0.path.hasPrefix(folder) })
            try await forgetful.expectWhole(versions, "\(folder)")
            let report = try await forgetful.backUp(MemorySource(contents(4)), packBytes: packBytes)
            if folder == "packs/" { #expect(report.storedBytes < 5_000) }
        }
    }
}

@Suite struct `Names of packs that are needed after all` {
    private let store = MemoryStore()

    /// Two backups; a prune that was not shown the second one, of which this device knew nothing, has named what it alone needs.
    private func misnamed() async throws -> (wing: Wing, hidden: ObjectName) {
        let wing = try await Wing(store)
        for version in [0, 4] { try await wing.backUp(MemorySource(contents(version)), packBytes: packBytes) }
        let hidden = try #require(store.names.last(where: isSnapshot))
        try await wing.over(ForgetfulStore(store) { $0 == hidden }).prune()
        #expect(store.names.contains(where: isRemoval))
        return (wing, hidden)
    }

    private func pruneWithout(_ hidden: ObjectName, _ wing: Wing, days: UInt64) async throws {
        try await wing.over(ForgetfulStore(store) { $0 == hidden }).prune(days: days)
    }

    @Test func `are taken back before the grace is over, and the day begins anew`() async throws {
        let (wing, hidden) = try await misnamed()
        let packs = store.names.filter(isPack)
        let report = try await wing.prune()
        #expect(report.freedBytes == 0 && !store.names.contains(where: isRemoval))
        #expect(try await wing.backUp(MemorySource(contents(4)), packBytes: packBytes).storedBytes < 3_000)
        let newest = try #require(store.names.last(where: isSnapshot))
        store.contents[newest] = nil
        try await pruneWithout(hidden, wing, days: 3)
        #expect(packs.allSatisfy { store.contents[$0] != nil }, "named once more, a day before anything goes")
        try await wing.prune(days: 3)
        try await wing.expectWhole([0, 4], "taken back again")
    }

    @Test func `wait for another look if the grace was over already`() async throws {
        let (wing, hidden) = try await misnamed()
        let packs = store.names.filter(isPack)
        try await wing.prune(days: 2)
        #expect(store.names.contains(where: isRemoval), "another device may be about to remove them")
        try await pruneWithout(hidden, wing, days: 3)
        #expect(packs.allSatisfy { store.contents[$0] != nil })
        for days: UInt64 in [20, 21] { try await wing.prune(days: days) }
        #expect(!store.names.contains(where: isRemoval))
        try await wing.expectWhole([0, 4], "taken back")
    }

    @Test func `go on as before if nobody needs them any more`() async throws {
        let (wing, hidden) = try await misnamed()
        let named = try await wing.open().removals().condemned
        try await wing.prune(days: 2)
        let report = try await wing.prune(days: 3, keepFirst: 1)
        #expect(report.removed.count == 1 && store.contents[hidden] == nil)
        #expect(report.waitingUntilSeconds == Wing.now + 4 * day, "and not in a month")
        #expect(named.allSatisfy { store.contents[.pack($0)] != nil })
        #expect(try await wing.prune(days: 5).freedBytes >= report.waitingBytes)
        #expect(named.allSatisfy { store.contents[.pack($0)] == nil })
        try await wing.expectWhole([0], "the first one")
    }

    @Test func `are taken back without a grace at once`() async throws {
        let (wing, _) = try await misnamed()
        try await wing.prune(graceSeconds: 0, days: 2)
        #expect(!store.names.contains(where: isRemoval))
        try await wing.expectWhole([0, 4], "taken back")
    }

    @Test func `cut anywhere while they are taken back, lose nothing`() async throws {
        let (wing, _) = try await misnamed()
        let before = store.contents
        for days: UInt64 in [0, 2] {
            let counting = FaultyStore(MemoryStore(before), .failure, atCall: .max)
            try await wing.over(counting).prune(days: days)
            for call in stride(from: 0, to: counting.callCount, by: 8) {
                let inner = MemoryStore(before)
                _ = try? await wing.over(FaultyStore(inner, .failure, atCall: call)).prune(days: days)
                try await wing.over(inner).prune(days: days)
                try await wing.over(inner).prune(days: days + 3)
                try await wing.over(inner).expectWhole([0, 4], "call \(call), day \(days)")
                #expect(!inner.names.contains(where: isRemoval), "call \(call), day \(days)")
            }
        }
    }

    @Test func `stay if they are in no index that can be read, for as long as something is missed`() async throws {
        let (wing, _) = try await misnamed()
        let named = try await wing.open().removals().condemned
        var prunes = 0
        for pack in named {
            let forgetful = ForgetfulStore(
                store, lacking: { $0.path.hasPrefix("index/") }, unreadable: .pack(pack))
            // Without its folders nothing is pruned.
            if (try? await wing.over(forgetful).prune(days: 2)) != nil { prunes += 1 }
            #expect(named.allSatisfy { store.contents[.pack($0)] != nil })
        }
        #expect(prunes > 0)
        try await wing.expectWhole([0, 4], "nothing went")
    }
}

@Suite struct `Backups that are lost for good` {
    @Test func `are given up on a full store, which has room for the record when their packs have gone`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        for version in [0, 8, 16] { try await wing.backUp(MemorySource(contents(version)), packBytes: packBytes) }
        store.contents[store.names.filter(isSnapshot)[1]] = nil
        let full = WatchedStore(store)
        full.limit(toBytes: store.contents.values.reduce(0) { $0 + $1.count })
        let report = try await wing.over(full).prune(graceSeconds: 0, acceptsMissing: true)
        #expect(report.givenUp.count == 1 && report.freedBytes > 0)
        #expect(try await wing.prune(graceSeconds: 0).givenUp == [])
        try await wing.expectWhole([0, 16], "the chain is whole without it")
    }

    @Test func `are given up by who says so, once, and missed by nobody afterwards`() async throws {
        let store = MemoryStore()
        let wing = try await Wing(store)
        for version in [0, 8, 16] { try await wing.backUp(MemorySource(contents(version)), packBytes: packBytes) }
        let seen = try await wing.prune(isTrial: true).seen
        let known = KnownSnapshots(seen: seen)
        store.contents[store.names.filter(isSnapshot)[1]] = nil
        await #expect(throws: PruneError.self) { try await wing.prune(graceSeconds: 0) }
        let before = store.contents
        let report = try await wing.prune(graceSeconds: 0, knowing: known, acceptsMissing: true)
        #expect(report.givenUp.map(\.number) == [2] && report.freedBytes > 0)
        #expect(store.contents != before)
        #expect(try await wing.prune(graceSeconds: 0, knowing: known).givenUp == [])
        #expect(try await wing.prune(graceSeconds: 0).givenUp == [])
        #expect(try await wing.restored(number: 0).files == contents(0))
        try await wing.expectWhole([16], "the chain is whole without it")
    }
}
