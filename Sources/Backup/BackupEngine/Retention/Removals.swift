import BackupFormat
import ByteCoding

/// What was removed from a store on purpose, and what is about to be.
struct Removals: Sendable {
    struct Item: Sendable {
        let id: ObjectID
        let removal: Removal
    }

    var items: [Item] = []
    /// Objects that do not open, by name. What they named looks lost, or stays for good: no more than that.
    var damaged: [String] = []

    /// Packs that go, or are gone.
    var condemned: Set<ObjectID> { Set(items.flatMap(\.removal.packs)) }

    /// When each pack that is named may go. Of several times the latest counts: somebody saw a reason to wait.
    var goSeconds: [ObjectID: UInt64] {
        var times: [ObjectID: UInt64] = [:]
        for removal in items.map(\.removal) {
            for pack in removal.packs { times[pack] = max(times[pack] ?? 0, removal.packsGoSeconds) }
        }
        return times
    }

    /// The hashes over which the chain goes on.
    var removedSnapshots: Set<SnapshotHash> { Set(items.flatMap(\.removal.snapshots).map(\.hash)) }
}

extension Repository {
    func removals() async throws(ObjectStoreError) -> Removals {
        var found = Removals()
        try await readRemovals(into: &found)
        return found
    }

    /// Adds those that are listed and were not read before.
    func readRemovals(into found: inout Removals) async throws(ObjectStoreError) {
        let known = Set(found.items.map(\.id))
        found.damaged = []
        for name in try await store.list(.removals).sorted(by: { $0.path < $1.path }) {
            guard case .removal(let id) = name, !known.contains(id) else { continue }
            var object: [UInt8]?
            do { object = try await store.read(name) } catch  where error.isLoss { object = nil }
            if let object, let removal = try? openRemoval(object, id: id) {
                found.items.append(Removals.Item(id: id, removal: removal))
            } else {
                found.damaged.append(name.path)
            }
        }
    }

    func openRemoval(_ object: [UInt8], id: ObjectID) throws -> Removal {
        try Removal(decodingPadded: try open(object, .removal, id))
    }

    func write(_ removal: Removal, using generator: inout some RandomNumberGenerator) async throws(PruneError) {
        let preamble = Preamble(kind: .removal, epoch: keyring.current.number, id: .random(using: &generator))
        let object: [UInt8]
        // Within its limits a removal has an encoding.
        do { object = try cipher(preamble).seal(try removal.encodedAndPadded()) } catch { throw .tooMuch }
        do { try await store.create(.removal(preamble.id), object) } catch { throw .store(error) }
    }
}

extension Repository {
    /// Without packs that are about to go, so that nothing new depends on them.
    func indexForWriting() async throws(ObjectStoreError) -> LoadedIndex {
        let removals = try await removals()
        return try await loadIndex(removals, leavingOut: removals.condemned)
    }

    /// Right before a snapshot is written. Packs that were named meanwhile may be what it builds upon; whoever named
    /// them has not seen it.
    func requireNothingNamed(since known: Removals) async throws(BackupError) {
        let condemned: Set<ObjectID>
        do { condemned = try await removals().condemned } catch { throw .store(error) }
        guard condemned.isSubset(of: known.condemned) else { throw .removedMeanwhile }
    }
}

extension Removal {
    /// As many names for each as one removal takes.
    static func parts<Name>(of names: [Name]) -> [[Name]] {
        stride(from: 0, to: names.count, by: namesMax).map { Array(names[$0..<min($0 + namesMax, names.count)]) }
    }
}
