import BackupEngine
import BackupFormat
import TestSupport
import Testing

/// What a store shows, against what devices said of their backups.
@Suite struct `Heads and stores` {
    private let store = MemoryStore()

    private func backUp(_ wing: Wing, _ name: String, above: UInt32 = 0) async throws -> BackupHead {
        let repository = try await wing.open()
        let report = try await Backup.run(
            MemorySource([name: noise(700, seed: UInt64(name.count))]), into: repository,
            generator: SystemRandomNumberGenerator(), now: { Wing.now }, above: above, report: { _ in })
        return try BackupHead(
            report.snapshot, keyring: repository.keyring.number, header: repository.header, key: wing.key)
    }

    private func verdict(_ wing: Wing, _ heads: BackupHead...) async throws -> HeadVerdict? {
        try await wing.open().verdict(on: heads)
    }

    private var snapshots: [ObjectName] { store.names.filter { if case .snapshot = $0 { true } else { false } } }

    @Test func `an older copy, a snapshot held back and a fork are told apart`() async throws {
        let wing = try await Wing(store)
        var heads: [BackupHead] = []
        var copies: [[ObjectName: [UInt8]]] = []
        for name in ["a", "ab", "abc"] {
            heads.append(try await backUp(wing, name))
            copies.append(store.contents)
        }
        let newest = heads[2]
        for head in heads { #expect(try await verdict(wing, head) == .current) }
        #expect(try await verdict(wing) == nil)
        store.contents = copies[0]
        #expect(try await verdict(wing, newest, heads[0]) == .older(newest, newest: 1))
        // A device that asked nobody goes on from there.
        _ = try await backUp(wing, "abcd")
        #expect(try await verdict(wing, newest) == .older(newest, newest: 2))
        _ = try await backUp(wing, "abcde")
        #expect(try await verdict(wing, newest) == .otherHistory(newest))
        // And one that accepted the loss is above all that was said before.
        let accepted = try await backUp(wing, "abcdef", above: newest.number)
        #expect(accepted.number == 4)
        #expect(try await verdict(wing, newest, accepted) == .current)
        store.contents = copies[2]
        try await store.delete(snapshots[2])
        #expect(try await verdict(wing, newest) == .older(newest, newest: 2))
        // The one in the middle is missed by the chain, and not needed.
        store.contents = copies[2]
        try await store.delete(snapshots[1])
        #expect(try await verdict(wing, newest) == .current)
        #expect(try await wing.verify().findings.count == 1)
    }

    @Test func `pruning is no rollback, and a removal does not excuse one`() async throws {
        let wing = try await Wing(store)
        let first = try await backUp(wing, "a")
        let second = try await backUp(wing, "ab")
        let third = try await backUp(wing, "abc")
        _ = try await Prune.run(
            try await wing.open(), keeping: { Set($0.map(\.name).sorted().suffix(1)) },
            options: Prune.Options(graceSeconds: 0), now: Wing.now, generator: SystemRandomNumberGenerator())
        for head in [first, second, third] { #expect(try await verdict(wing, head) == .current) }
        try await store.delete(snapshots[0])
        #expect(try await verdict(wing, second) == .older(second, newest: 0))
    }

    @Test func `a damaged snapshot is damage, and garbage in a high place is nothing`() async throws {
        let wing = try await Wing(store)
        let first = try await backUp(wing, "a")
        let second = try await backUp(wing, "ab")
        let whole = store.contents
        store.contents[snapshots[1]] = [1, 2, 3]
        #expect(try await verdict(wing, second) == .damaged(second, newest: 1))
        store.contents = whole
        try await store.delete(snapshots[1])
        var generator = SeededGenerator(seed: 4)
        store.contents[.snapshot(SnapshotName(number: 90, id: .random(using: &generator)))] = [1, 2, 3]
        #expect(try await verdict(wing, first) == .current)
        #expect(try await verdict(wing, second) == .older(second, newest: 1))
    }
}
