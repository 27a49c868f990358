import BackupEngine
import BackupFormat
import Foundation
import TestSupport
import Testing

private let packBytes = 4_096
private let day: UInt64 = 86_400

/// Files that stay from one to the next, files that go and files that come.
private func contents(_ version: Int) -> [String: [UInt8]] {
    Dictionary(
        uniqueKeysWithValues: (version..<version + 4).map { number in
            ("folder-\(number % 2)/file-\(number)", noise(900 + 631 * number, seed: UInt64(number)))
        })
}

extension Wing {
    /// Keeps the newest so many.
    @discardableResult
    fileprivate func prune(
        keepLast: Int, graceSeconds: UInt64 = day, wastePercentMax: Int = 100, days: UInt64 = 0, isTrial: Bool = false
    ) async throws -> PruneReport {
        try await Prune.run(
            try await open(),
            keeping: { snapshots in Set(snapshots.map(\.name).sorted().suffix(keepLast)) },
            options: Prune.Options(graceSeconds: graceSeconds, wastePercentMax: wastePercentMax, isTrial: isTrial),
            now: Wing.now + days * day, generator: SystemRandomNumberGenerator())
    }

    fileprivate func expectWhole(_ versions: [Int], _ comment: Comment) async throws {
        #expect(try await open().snapshotNames().count == versions.count, comment)
        for (number, version) in versions.enumerated() {
            let (files, report) = try await restored(number: number)
            #expect(files == contents(version) && report.missing == [], comment)
        }
    }
}

private func packs(_ store: MemoryStore) -> Set<ObjectName> {
    Set(store.names.filter { if case .pack = $0 { true } else { false } })
}

@Suite struct `Pruning` {
    private let store = MemoryStore()

    /// Four snapshots, each of which shares half of its files with the one before.
    private func wing() async throws -> Wing {
        let wing = try await Wing(store)
        for version in 0..<4 { try await wing.backUp(MemorySource(contents(version * 2)), packBytes: packBytes) }
        return wing
    }

    @Test func `of a store that shows no snapshot removes no pack`() async throws {
        let wing = try await wing()
        let before = packs(store)
        for name in store.names { if case .snapshot = name { store.contents[name] = nil } }
        await #expect(throws: PruneError.self) { try await wing.prune(keepLast: 2, graceSeconds: 0) }
        await #expect(throws: PruneError.self) { try await wing.prune(keepLast: 2, graceSeconds: 0, days: 3) }
        #expect(packs(store) == before)
    }

    @Test func `removes snapshots at once, and what they alone needed after the grace`() async throws {
        let wing = try await wing()
        let before = packs(store)
        let first = try await wing.prune(keepLast: 2)
        #expect(first.removed.map(\.number) == [1, 2] && first.kept.map(\.number) == [3, 4])
        #expect(first.freedBytes == 0 && first.waitingBytes > 0)
        #expect(first.waitingUntilSeconds == Wing.now + day)
        #expect(packs(store) == before)
        #expect(try await wing.verify().findings == [], "a chain that was shortened on purpose is whole")
        let early = try await wing.prune(keepLast: 2)
        #expect(early.freedBytes == 0 && early.waitingBytes == first.waitingBytes && packs(store) == before)
        let later = try await wing.prune(keepLast: 2, days: 1)
        #expect(later.freedBytes == first.waitingBytes && later.waitingBytes == 0)
        #expect(packs(store).isStrictSubset(of: before))
        #expect(try await wing.verify().findings == [])
        try await wing.expectWhole([4, 6], "after the grace")
        #expect(try await wing.prune(keepLast: 2, days: 2).freedBytes == 0, "once is enough")
    }

    @Test func `a trial changes nothing and says the same`() async throws {
        let wing = try await wing()
        let before = store.contents
        let trial = try await wing.prune(keepLast: 1, graceSeconds: 0, isTrial: true)
        #expect(store.contents == before)
        #expect(try await wing.prune(keepLast: 1, graceSeconds: 0) == trial)
        #expect(trial.freedBytes > 0)
    }

    @Test func `what is named to go is not built upon, and stays if it is needed after all`() async throws {
        let wing = try await wing()
        try await wing.prune(keepLast: 1)
        // The files of the first version come back: they are stored anew, not found in packs that go.
        try await wing.backUp(MemorySource(contents(0)), packBytes: packBytes)
        try await wing.prune(keepLast: 2, days: 1)
        try await wing.expectWhole([6, 0], "built upon")
        #expect(try await wing.verify().findings == [])
    }

    @Test func `a backup under way while packs are named fails, and the next one is whole`() async throws {
        let before = (try await wing()).storeContents
        let counted = WatchedStore(MemoryStore(before))
        let wing = try await wing(over: before)
        try await wing.over(counted).backUp(MemorySource(contents(0)), packBytes: packBytes)
        for call in 0..<counted.callCount {
            let inner = MemoryStore(before)
            let other = wing.over(inner)
            let watched = WatchedStore(inner, beforeCall: call) { _ = try? await other.prune(keepLast: 1) }
            let done = try? await wing.over(watched).backUp(MemorySource(contents(0)), packBytes: packBytes)
            if done == nil { try await other.backUp(MemorySource(contents(0)), packBytes: packBytes) }
            _ = try await other.prune(keepLast: 2, days: 2)
            _ = try await other.prune(keepLast: 2, days: 4)
            let newest = try await other.restored()
            #expect(newest.files == contents(0) && newest.report.missing == [], "call \(call)")
            #expect(try await other.verify().findings == [], "call \(call)")
        }
    }

    @Test func `a backup that runs inside of a pruning loses nothing`() async throws {
        let before = (try await wing()).storeContents
        let wing = try await wing(over: before)
        for days: UInt64 in [0, 2] {
            var marked = before
            if days > 0 {
                let store = MemoryStore(before)
                try await wing.over(store).prune(keepLast: 2)
                marked = store.contents
            }
            let counted = WatchedStore(MemoryStore(marked))
            try await wing.over(counted).prune(keepLast: 2, days: days)
            for call in 0..<counted.callCount {
                let inner = MemoryStore(marked)
                let other = wing.over(inner)
                let watched = WatchedStore(inner, beforeCall: call) {
                    _ = try? await other.backUp(MemorySource(contents(0)), packBytes: packBytes)
                }
                _ = try? await wing.over(watched).prune(keepLast: 2, days: days)
                _ = try await other.prune(keepLast: 3, days: days + 2)
                let newest = try await other.restored()
                #expect(newest.files == contents(0) && newest.report.missing == [], "call \(call), day \(days)")
            }
        }
    }

    @Test func `two devices that prune at once lose nothing`() async throws {
        let before = (try await wing()).storeContents
        let wing = try await wing(over: before)
        let counted = WatchedStore(MemoryStore(before))
        try await wing.over(counted).prune(keepLast: 2, graceSeconds: 0, wastePercentMax: 5)
        for call in 0..<counted.callCount {
            let inner = MemoryStore(before)
            let other = wing.over(inner)
            let watched = WatchedStore(inner, beforeCall: call) { _ = try? await other.prune(keepLast: 2) }
            _ = try? await wing.over(watched).prune(keepLast: 2, wastePercentMax: 5)
            try await other.prune(keepLast: 2, days: 2)
            try await other.prune(keepLast: 2, days: 4)
            try await other.expectWhole([4, 6], "call \(call)")
        }
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `cut at any call, it leaves every backup that stays, and the next run ends the work`(
        fault: FaultyStore.Fault
    ) async throws {
        let before = (try await wing()).storeContents
        let wing = try await wing(over: before)
        let plain = MemoryStore(before)
        let counting = FaultyStore(plain, .failure, atCall: .max)
        try await wing.over(counting).prune(keepLast: 2, graceSeconds: 0, wastePercentMax: 5)
        for call in 0..<counting.callCount {
            let inner = MemoryStore(before)
            let faulty = wing.over(FaultyStore(inner, fault, atCall: call))
            let done = try? await faulty.prune(keepLast: 2, graceSeconds: 0, wastePercentMax: 5)
            let after = wing.over(inner)
            let names = try await after.open().snapshotNames()
            #expect(names.count >= 2)
            for (number, version) in [(names.count - 2, 4), (names.count - 1, 6)] {
                let (files, report) = try await after.restored(number: number)
                #expect(files == contents(version) && report.missing == [], "call \(call), done \(done != nil)")
            }
            try await after.prune(keepLast: 2, graceSeconds: 0, wastePercentMax: 5)
            try await after.expectWhole([4, 6], "call \(call)")
            #expect(try await after.verify().findings == [], "call \(call)")
        }
    }

    @Test func `works without a free byte`() async throws {
        let before = (try await wing()).storeContents
        let wing = try await wing(over: before)
        let inner = MemoryStore(before)
        let full = WatchedStore(inner)
        full.limit(toBytes: before.values.reduce(0) { $0 + $1.count })
        let report = try await wing.over(full).prune(keepLast: 2, graceSeconds: 0)
        #expect(report.freedBytes > 0)
        try await wing.over(inner).expectWhole([4, 6], "a full store")
        #expect(try await wing.over(inner).verify().findings == [])
    }

    @Test func `packs that are mostly waste are written anew, and others are left alone`() async throws {
        let wing = try await Wing(store)
        let all = Dictionary(uniqueKeysWithValues: (0..<40).map { ("\($0)", noise(400, seed: $0)) })
        let few = all.filter { $0.key.hasSuffix("0") }
        try await wing.backUp(MemorySource(all), packBytes: packBytes)
        try await wing.backUp(MemorySource(few), packBytes: packBytes)
        #expect(try await wing.prune(keepLast: 1, graceSeconds: 0, wastePercentMax: 100).repackedBytes == 0)
        let loose = store.contents.values.reduce(0) { $0 + $1.count }
        #expect(try await wing.prune(keepLast: 1, graceSeconds: 0, wastePercentMax: 20).repackedBytes > 0)
        #expect(store.contents.values.reduce(0) { $0 + $1.count } < loose / 2)
        #expect(try await wing.restored().files == few)
        #expect(try await wing.verify().findings == [])
        #expect(try await wing.prune(keepLast: 1, graceSeconds: 0, wastePercentMax: 20).repackedBytes == 0)
    }

    @Test func `nothing is removed on the word of what cannot be read`() async throws {
        let wing = try await wing()
        let name = try await wing.open().snapshotNames()[1]
        let whole = store.contents
        store.contents[.snapshot(name)] = [1, 2, 3]
        await #expect(throws: PruneError.damagedSnapshot(ObjectName.snapshot(name).path)) {
            try await wing.prune(keepLast: 1, graceSeconds: 0)
        }
        #expect(store.contents.count == whole.count)
        // A folder's listing of a backup that stays lies in a damaged pack.
        store.contents = whole
        for pack in packs(store) { store.contents[pack]?[40] ^= 1 }
        await #expect(throws: PruneError.self) { try await wing.prune(keepLast: 4, graceSeconds: 0) }
        #expect(packs(store) == packs(MemoryStore(whole)))
    }

    @Test func `a snapshot that someone without the key removed is still missed`() async throws {
        let wing = try await wing()
        try await wing.prune(keepLast: 3)
        let name = try await wing.open().snapshotNames()[1]
        store.contents[.snapshot(name)] = nil
        let findings = try await wing.verify().findings
        #expect(findings.contains { if case .chainBroken = $0 { true } else { false } })
    }

    private func wing(over contents: [ObjectName: [UInt8]]) async throws -> Wing {
        let wing = try await Wing(MemoryStore())
        return wing.over(MemoryStore(contents))
    }
}

extension Wing {
    fileprivate var storeContents: [ObjectName: [UInt8]] { (store as? MemoryStore)?.contents ?? [:] }
}
