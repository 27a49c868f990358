import BackupFormat

/// Why a store was not copied to another place. The store is as it was, and the other place is no store yet.
package enum StoreCopyError: Error, Equatable, Sendable {
    /// There is a store at the other place, or the beginning of another one.
    case taken
    /// An object arrived with another size than it left with.
    case differs(String)
    /// The store that is copied.
    case source(ObjectStoreError)
    case target(ObjectStoreError)
}

/// What was copied.
package struct StoreCopyReport: Equatable, Sendable {
    package var objects = 0
    package var bytes: UInt64 = 0
    /// Objects that an earlier run had copied.
    package var alreadyThere = 0
}

/// Copies every object of a store to another place, the header last, so that nothing half-copied looks like a store.
///
/// Objects never change, so a run that was cut goes on with what is missing. What other devices write meanwhile is looked for
/// again until a look finds nothing new. An order in which nothing refers to what is not there yet: keyrings, packs,
/// indexes, removals, snapshots. Of each kind several are copied at a time, part by part (`ObjectCopy`).
package struct StoreCopy {
    private static let order: [ObjectName.Folder] = [.keyring, .packs, .index, .removals, .snapshots]
    private static let looksMax = 16

    private let source: any ObjectStore
    private let target: any ObjectStore
    private var report = StoreCopyReport()
    /// The sizes of what was copied or found there.
    private var copied: [ObjectName: Int] = [:]

    package static func run(
        from repository: Repository, to target: any ObjectStore, progress: @Sendable (StoreCopyReport) -> Void
    ) async throws(StoreCopyError) -> StoreCopyReport {
        var copy = StoreCopy(source: repository.store, target: target)
        try await copy.requireFree()
        var seen: Set<ObjectName> = []
        for _ in 0..<looksMax {
            let isNew = try await copy.copyObjects(&seen, progress)
            if !isNew { break }
        }
        try await copy.requireCopied()
        try await copy.copyHeader()
        return copy.report
    }

    private init(source: any ObjectStore, target: any ObjectStore) {
        self.source = source
        self.target = target
    }

    /// The place is empty, or holds the beginning of this store: the same keyrings.
    private func requireFree() async throws(StoreCopyError) {
        do throws(ObjectStoreError) {
            if try await Repository.isThere(.header, in: target) {
                let theirs = try await target.read(.header)
                guard let ours = try? await source.read(.header), ours == theirs else {
                    throw ObjectStoreError.exists("")
                }
            }
            let keyrings = try await target.list(.keyring)
            if keyrings.isEmpty {
                for folder in Self.order where try await !target.list(folder).isEmpty {
                    throw ObjectStoreError.exists("")
                }
            }
            for name in keyrings {
                let theirs = try await target.read(name)
                guard let ours = try? await source.read(name), ours == theirs else { throw ObjectStoreError.exists("") }
            }
        } catch .exists {
            throw .taken
        } catch {
            throw .target(error)
        }
    }

    /// Copies what was not seen before. False if there was nothing.
    private mutating func copyObjects(
        _ seen: inout Set<ObjectName>, _ progress: @Sendable (StoreCopyReport) -> Void
    ) async throws(StoreCopyError) -> Bool {
        // Snapshots are listed first and copied last: what they need is there before they are.
        var listed: [ObjectName.Folder: [ListedObject]] = [:]
        do throws(ObjectStoreError) {
            for folder in Self.order.reversed() { listed[folder] = try await source.listed(folder) }
        } catch { throw .source(error) }
        let isFirst = seen.isEmpty
        var isNew = false
        for folder in Self.order {
            let fresh = (listed[folder] ?? []).filter { seen.insert($0.name).inserted }
            if fresh.isEmpty { continue }
            isNew = true
            let there = try await listedAtTarget(folder)
            let copies = fresh.map { ObjectCopy($0, from: source, to: target, listed: there[$0.name]) }
            try await run(copies, isFirst: isFirst, progress)
        }
        return isNew
    }

    /// As many at a time as the place takes.
    private mutating func run(
        _ copies: [ObjectCopy], isFirst: Bool, _ progress: @Sendable (StoreCopyReport) -> Void
    ) async throws(StoreCopyError) {
        let failure = await withTaskGroup(
            of: (ObjectName, Result<ObjectCopy.Outcome, StoreCopyError>).self
        ) { group -> StoreCopyError? in
            var rest = copies[...]
            var failure: StoreCopyError?
            func begin() {
                guard failure == nil, let copy = rest.popFirst() else { return }
                group.addTask { (copy.name, await copy.result()) }
            }
            for _ in 0..<target.uploadsAtOnce { begin() }
            while let (name, result) = await group.next() {
                switch result {
                case .success(let outcome):
                    note(outcome, of: name)
                    progress(report)
                // Somebody pruned meanwhile.
                case .failure(.source(.notFound)) where !isFirst || name.mayGo: break
                case .failure(let error):
                    failure = failure ?? error
                    group.cancelAll()
                }
                begin()
            }
            return failure
        }
        if let failure { throw failure }
    }

    private mutating func note(_ outcome: ObjectCopy.Outcome, of name: ObjectName) {
        copied[name] = outcome.bytes
        if outcome.wasThere {
            report.alreadyThere += 1
        } else {
            report.objects += 1
            report.bytes += UInt64(outcome.bytes)
        }
    }

    private func listedAtTarget(
        _ folder: ObjectName.Folder
    ) async throws(StoreCopyError) -> [ObjectName: ListedObject] {
        do {
            return try await target.listed(folder).reduce(into: [:]) { $0[$1.name] = $1 }
        } catch {
            throw .target(error)
        }
    }

    /// Before it becomes a store: each object lies there with its size, by a list that tells it, or asked for by itself.
    private func requireCopied() async throws(StoreCopyError) {
        var told: [ObjectName: Int] = [:]
        for folder in Self.order {
            for object in try await listedAtTarget(folder).values { told[object.name] = object.bytes }
        }
        let untold = copied.keys.filter { told[$0] == nil }
        let asked: [ObjectName: Int]
        do { asked = try await target.sizes(of: untold) } catch { throw .target(error) }
        for (name, bytes) in copied.sorted(by: { $0.key.path < $1.key.path })
        where (told[name] ?? asked[name]) != bytes { throw .differs(name.path) }
    }

    private func copyHeader() async throws(StoreCopyError) {
        let header: [UInt8]
        do { header = try await source.read(.header) } catch { throw .source(error) }
        do {
            try await target.create(.header, header)
        } catch .exists {
            // An earlier run came as far as this.
            let there: Int?
            do { there = try await target.sizeIfThere(.header) } catch { throw .target(error) }
            guard there == header.count else { throw .taken }
        } catch {
            throw .target(error)
        }
    }
}

extension ObjectName {
    /// Whether pruning removes objects of this kind.
    fileprivate var mayGo: Bool {
        switch self {
        case .header, .keyring: false
        case .pack, .index, .snapshot, .removal: true
        }
    }
}
