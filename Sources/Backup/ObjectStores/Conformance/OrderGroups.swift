import BackupEngine
import BackupFormat

/// What is seen when several things happen at once, or are not finished.
extension StoreConformance.Group {
    static let listedBytes = 20
    static let racers = 8
    static let racedBytes = 50_000

    static func lists(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        let count = trial.extent.listedObjects
        let names = (0..<count).map { $0.isMultiple(of: 10) ? trial.pack($0) : trial.index($0) }
        let other = ObjectName.snapshot(SnapshotName(number: 1, id: trial.id(count)))
        try await store.create(other, [1])
        try await Trial.each(names) { name throws(ObjectStoreError) in
            try await store.create(name, Array(name.path.utf8.prefix(listedBytes)))
        }
        var expected = Set(names)
        func requireLists(_ when: String) async throws {
            try await trial.require(.packs, lists: expected.filter { $0.path.hasPrefix("packs/") }, when)
            try await trial.require(.index, lists: expected.filter { $0.path.hasPrefix("index/") }, when)
            try await trial.require(.snapshots, lists: [other], when)
            try await trial.require(.keyring, lists: [], when)
            try await trial.require(.removals, lists: [], when)
        }
        try await requireLists("of \(count)")
        let inOrder = names.sorted { $0.path < $1.path }
        for name in [inOrder[0], inOrder[inOrder.count / 2], inOrder[inOrder.count - 1]] {
            try await store.delete(name)
            expected.remove(name)
        }
        try await requireLists("after the first, the last and one between were deleted")
        let stopped = Task { try? await store.list(.index) }
        stopped.cancel()
        if let found = await stopped.value {
            try trial.require(
                Set(found) == expected.filter { $0.path.hasPrefix("index/") },
                "a list that was stopped gives a part of it")
        }
        return .passed
    }

    static func creatingNeverReplaces(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        for name in trial.namesOfEveryKind {
            try await store.create(name, [1, 2, 3])
            try await trial.require(.exists(name.path), from: "creating what is there") {
                () async throws(ObjectStoreError) in try await store.create(name, [4])
            }
            try await trial.require(.exists(name.path), from: "handing over what is there") {
                () async throws(ObjectStoreError) in try await handOver([5, 6], as: name, in: 2, to: store)
            }
            try await trial.require(name, holds: [1, 2, 3], "after it was to be created again")
        }
        var winnersMost = 1
        for round in 0..<trial.extent.races {
            winnersMost = max(winnersMost, try await race(for: trial.pack(round), trial))
        }
        return winnersMost == 1
            ? .passed
            : .weaker(
                "of \(racers) writers that created one name at the same moment, up to \(winnersMost) were told that they had; the last "
                    + "one's content stays")
    }

    /// - Returns: how many of those who created one name at a time were told that they had.
    private static func race(for name: ObjectName, _ trial: Trial) async throws -> Int {
        let store = trial.store
        let results = await withTaskGroup(of: (UInt8, ObjectStoreError?).self) { group in
            for writer in UInt8(1)...UInt8(racers) {
                group.addTask {
                    do throws(ObjectStoreError) {
                        try await store.create(name, [UInt8](repeating: writer, count: racedBytes))
                    } catch {
                        return (writer, error)
                    }
                    return (writer, nil)
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for case (_, let error?) in results where error != .exists(name.path) { throw error }
        let winners = results.filter { $0.1 == nil }.map(\.0)
        let found = try await store.read(name)
        try trial.require(!winners.isEmpty, "of \(racers) writers of one name, none was told that it had created it")
        try trial.require(
            winners.contains { found == [UInt8](repeating: $0, count: racedBytes) },
            "after several writers created one name, it holds what none of the winners wrote")
        return winners.count
    }

    static func replacing(_ trial: Trial) async throws -> Outcome {
        try await trial.store.replace(.header, version(0))
        for number in 1...versions {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await trial.store.replace(.header, version(number)) }
                for _ in 0..<3 {
                    group.addTask {
                        for _ in 0..<2 {
                            let found = try await trial.store.read(.header)
                            try trial.require(
                                found == version(number - 1) || found == version(number),
                                "neither the old nor the new was read")
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await trial.require(.header, holds: version(number), "after it was replaced")
        }
        return .passed
    }

    private static let versions = 8

    /// A header that says, like all in this place, that it may be deleted: whoever is killed here leaves it.
    private static func header(_ content: [UInt8]) -> [UInt8] { StoreConformance.mark + content }

    private static func version(_ number: Int) -> [UInt8] {
        header([UInt8](repeating: UInt8(clamping: number), count: 40_000 + number * 1_000))
    }

    static func endedEarly(_ trial: Trial) async throws -> Outcome {
        let store = trial.store
        func requireNothing(_ name: ObjectName, _ when: String) async throws {
            try await trial.require(.notFound(name.path), from: "reading an object \(when)") {
                () async throws(ObjectStoreError) in _ = try await store.read(name, 0..<1)
            }
            try await trial.require(.packs, lists: [], when)
        }
        let name = trial.pack(1)
        let content = Noise.bytes(300_000, seed: 7)
        let upload = try await store.begin(name)
        try await append(content, in: 2, to: upload)
        try await requireNothing(name, "that is on its way")
        await upload.abandon()
        try await requireNothing(name, "that was given up")
        let leftOfOne = try await store.abandoned(before: .max, removing: false)
        try trial.require(leftOfOne == 0, "\(leftOfOne) bytes of an upload that was given up are left")
        try await handOver(content, as: name, in: 2, to: store)
        try await trial.require(name, holds: content, "after it had been given up once")
        try await store.delete(name)
        for number in 2..<8 {
            try await stopped(trial.pack(number), after: number, trial)
        }
        let leftOfStopped = try await store.abandoned(before: .max, removing: true)
        let left = try await store.abandoned(before: .max, removing: false)
        try trial.require(left == 0, "\(left) bytes of uploads that ended early are left and cannot be removed")
        return leftOfStopped == 0
            ? .passed
            : .weaker("uploads that were stopped leave what `coffer prune` removes later: \(leftOfStopped) bytes")
    }

    /// An upload that is stopped sooner or later is there whole or not at all.
    private static func stopped(_ name: ObjectName, after turns: Int, _ trial: Trial) async throws {
        let store = trial.store
        let content = Noise.bytes(trial.extent.cutBytes, seed: UInt64(turns))
        let upload = Task { try? await handOver(content, as: name, in: 4, to: store) }
        for _ in 0..<turns * turns { await Task.yield() }
        upload.cancel()
        _ = await upload.value
        do {
            try await trial.require(name, holds: content, "after its upload was stopped")
        } catch ObjectStoreError.notFound {
            // Only on the way back can it be gone from a list, too.
            try trial.require(
                try await !store.list(.packs).contains(name), "a list names an object whose upload was stopped")
            return
        }
        try await store.delete(name)
    }

    static func twoDevices(_ trial: Trial) async throws -> Outcome {
        guard let peer = trial.peer else { return .notApplicable("there is one client here") }
        let store = trial.store
        for round in 0..<5 {
            let (ours, theirs) = (trial.index(2 * round), trial.index(2 * round + 1))
            try await store.create(ours, [1, 2, 3])
            store.note(theirs)
            try await peer.create(theirs, [4, 5, 6])
            try trial.require(try await peer.read(ours) == [1, 2, 3], "another client reads something else")
            try await trial.require(theirs, holds: [4, 5, 6], "which another client wrote")
            let (seen, known) = (Set(try await peer.list(.index)), Set(try await store.list(.index)))
            try trial.require(seen == known && seen.contains(theirs), "two clients see different lists")
            try await trial.require(.exists(ours.path), from: "creating what another client has created") {
                () async throws(ObjectStoreError) in try await peer.create(ours, [7])
            }
            try await peer.delete(ours)
            try await trial.require(.notFound(ours.path), from: "reading what another client has deleted") {
                () async throws(ObjectStoreError) in _ = try await store.read(ours)
            }
            try await peer.delete(theirs)
        }
        try await store.replace(.header, header([8]))
        try trial.require(try await peer.read(.header) == header([8]), "another client reads an older header")
        return .passed
    }
}
