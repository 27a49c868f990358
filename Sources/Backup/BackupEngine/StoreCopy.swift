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
/// indexes, removals, snapshots.
package struct StoreCopy {
    private static let order: [ObjectName.Folder] = [.keyring, .packs, .index, .removals, .snapshots]
    private static let looksMax = 16

    private let source: any ObjectStore
    private let target: any ObjectStore
    private var report = StoreCopyReport()

    package static func run(
        from repository: Repository, to target: any ObjectStore, progress: @Sendable (StoreCopyReport) -> Void
    ) async throws(StoreCopyError) -> StoreCopyReport {
        var copy = StoreCopy(source: repository.store, target: target)
        try await copy.requireFree()
        var copied: Set<ObjectName> = []
        for _ in 0..<looksMax {
            let isNew = try await copy.copyObjects(&copied, progress)
            if !isNew { break }
        }
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
        _ copied: inout Set<ObjectName>, _ progress: @Sendable (StoreCopyReport) -> Void
    ) async throws(StoreCopyError) -> Bool {
        // Snapshots are listed first and copied last: what they need is there before they are.
        var names: [ObjectName.Folder: [ObjectName]] = [:]
        do throws(ObjectStoreError) {
            for folder in Self.order.reversed() { names[folder] = try await source.list(folder) }
        } catch { throw .source(error) }
        let isFirst = copied.isEmpty
        var isNew = false
        for name in Self.order.flatMap({ names[$0] ?? [] }) where copied.insert(name).inserted {
            isNew = true
            do {
                try await copy(name)
            } catch .source(.notFound) where !isFirst || name.mayGo {
                // Somebody pruned meanwhile.
                continue
            }
            progress(report)
        }
        return isNew
    }

    private mutating func copy(_ name: ObjectName) async throws(StoreCopyError) {
        let bytes: Int
        do { bytes = try await source.size(of: name) } catch { throw .source(error) }
        if let there = try await sizeAtTarget(name) {
            guard there == bytes else { throw .differs(name.path) }
            report.alreadyThere += 1
            return
        }
        let object: [UInt8]
        do { object = try await source.read(name) } catch { throw .source(error) }
        guard object.count == bytes else { throw .source(.truncated(name.path)) }
        do { try await target.create(name, object) } catch { throw .target(error) }
        guard try await sizeAtTarget(name) == bytes else { throw .differs(name.path) }
        report.objects += 1
        report.bytes += UInt64(bytes)
    }

    private func sizeAtTarget(_ name: ObjectName) async throws(StoreCopyError) -> Int? {
        do {
            return try await target.size(of: name)
        } catch .notFound {
            return nil
        } catch {
            throw .target(error)
        }
    }

    private func copyHeader() async throws(StoreCopyError) {
        let header: [UInt8]
        do { header = try await source.read(.header) } catch { throw .source(error) }
        do {
            try await target.create(.header, header)
        } catch .exists {
            // An earlier run came as far as this.
            guard try await sizeAtTarget(.header) == header.count else { throw .taken }
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
