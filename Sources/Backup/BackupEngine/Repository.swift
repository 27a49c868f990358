package import BackupFormat
import ByteCoding

/// Why a store could not be opened. In each case nothing was changed.
package enum OpenError: Error, Equatable, Sendable {
    /// There is no `coffer.json`.
    case noStoreHere
    /// `coffer.json` is not one that Coffer wrote, or it is damaged.
    case damagedHeader
    /// It was written by a later version of Coffer.
    case newerFormat(Int)
    /// The key opens neither header nor keyring: it belongs to another store, or is mistyped.
    case wrongKey
    /// The key was replaced: a newer keyring is there, and the header is another key's.
    case keyReplaced
    /// The key is right, but the header was changed by someone who does not have it.
    case headerAltered
    /// The key is right, but no copy of the keyring opens.
    case damagedKeyring
    case store(ObjectStoreError)
}

/// A store whose keys are at hand.
package struct Repository: Sendable {
    package let store: any ObjectStore
    package let header: StoreHeader
    package let keyring: Keyring
    /// Copies of the keyring that do not open, by name; another one does.
    package let damagedKeyringCopies: [String]
    /// For what is too large for the memory: pages of databases, sealed, and of an index keyed hashes, places and sizes. nil: none can
    /// be made.
    package var temporaryFiles: (any UnnamedFiles)?
    /// How many chunks of an index are kept in memory, in 24 bytes each, if the others can lie in a file.
    package var indexRecordsMax = 1 << 16

    /// Makes a new store: keyring first, header last, so that a store with a header is whole.
    ///
    /// A run that was cut leaves a keyring without a header; with the same id and key the next run goes on with it.
    package static func create(
        in store: any ObjectStore, id: StoreID, key: BackupKey, fleet: String?, now: UInt64,
        using generator: inout some RandomNumberGenerator
    ) async throws(OpenError) -> Repository {
        let header = StoreHeader(store: id, fleet: fleet)
        let left = try await openKeyring(in: store, header: header, key: key).keyring
        let number = left == nil ? try await freeKeyringNumber(in: store) : 0
        let keyring = left ?? Keyring(number: number, createdSeconds: now, using: &generator)
        do {
            for copy in ObjectName.KeyringCopy.allCases {
                let name = ObjectName.keyring(number: keyring.number, copy: copy)
                if left != nil, try await isThere(name, in: store) { continue }
                try await store.create(name, try keyring.sealed(under: key, store: id, using: &generator))
            }
            try await store.create(.header, try HeaderFile(header, keys: [key]).text())
        } catch let error as ObjectStoreError {
            throw .store(error)
        } catch {
            throw .damagedHeader
        }
        return Repository(store: store, header: header, keyring: keyring, damagedKeyringCopies: [])
    }

    /// The number of a new store's keyring. A creation that was cut leaves keyrings without a header: they are stepped
    /// over, never written over. But keyrings with packs or snapshots are a store that lost its header.
    private static func freeKeyringNumber(in store: any ObjectStore) async throws(OpenError) -> UInt32 {
        let highest: UInt32
        let isUsed: Bool
        let hasHeader: Bool
        do throws(ObjectStoreError) {
            highest = try await store.list(.keyring).reduce(0) { highest, name in
                if case .keyring(let number, _) = name { max(highest, number) } else { highest }
            }
            let snapshots = try await store.list(.snapshots)
            let packs = try await store.list(.packs)
            isUsed = !snapshots.isEmpty || !packs.isEmpty
            hasHeader = try await isThere(.header, in: store)
        } catch {
            throw .store(error)
        }
        if hasHeader { throw .store(.exists(ObjectName.header.path)) }
        guard !isUsed, highest < Keyring.numberMax else { throw .damagedHeader }
        return highest + 1
    }

    /// Writes another header for a store of this id and key.
    package static func replaceHeader(
        in store: any ObjectStore, _ header: StoreHeader, key: BackupKey
    ) async throws(OpenError) {
        try await replaceHeader(in: store, header, keys: [key])
    }

    static func replaceHeader(
        in store: any ObjectStore, _ header: StoreHeader, keys: [BackupKey]
    ) async throws(OpenError) {
        guard let text = try? HeaderFile(header, keys: keys).text() else { throw .damagedHeader }
        do { try await store.replace(.header, text) } catch { throw .store(error) }
    }

    static func isThere(
        _ name: ObjectName, in store: any ObjectStore
    ) async throws(ObjectStoreError) -> Bool {
        do {
            _ = try await store.size(of: name)
            return true
        } catch .notFound {
            return false
        }
    }

    /// What the header claims, before anyone has the key: not to be trusted.
    package static func claimedHeader(in store: any ObjectStore) async throws(OpenError) -> StoreHeader {
        try HeaderFile.parse(try await readHeader(store)).header
    }

    /// Whether a device is replacing the key: the header has a tag under each of two. Whoever replaces it by one with a
    /// single tag then takes the store from one of them.
    package static func isKeyBeingReplaced(in store: any ObjectStore) async throws(OpenError) -> Bool {
        try HeaderFile.parse(try await readHeader(store)).tags.count > 1
    }

    package static func open(_ store: any ObjectStore, key: BackupKey) async throws(OpenError) -> Repository {
        let (header, tags) = try HeaderFile.parse(try await readHeader(store))
        let isAuthentic = tags.contains { header.isAuthentic(tag: $0, under: key) }
        let (keyring, damaged) = try await openKeyring(in: store, header: header, key: key)
        switch (isAuthentic, keyring) {
        case (true, let keyring?):
            // While the key is replaced, a newer keyring is the other key's.
            let own = damaged.filter { tags.count == 1 || $0.number <= keyring.number }
            return Repository(
                store: store, header: header, keyring: keyring, damagedKeyringCopies: own.map(\.name.path))
        case (true, nil): throw .damagedKeyring
        case (false, let keyring?):
            throw damaged.contains { $0.number > keyring.number } ? .keyReplaced : .headerAltered
        case (false, nil): throw .wrongKey
        }
    }

    static func readHeader(_ store: any ObjectStore) async throws(OpenError) -> [UInt8] {
        do {
            return try await store.read(.header)
        } catch .notFound {
            throw .noStoreHere
        } catch {
            throw .store(error)
        }
    }

    /// The highest keyring of which a copy opens, and the copies of its number or above that do not.
    static func openKeyring(
        in store: any ObjectStore, header: StoreHeader, key: BackupKey
    ) async throws(OpenError) -> (keyring: Keyring?, damaged: [(number: UInt32, name: ObjectName)]) {
        var found: Keyring?
        var damaged: [(number: UInt32, name: ObjectName)] = []
        do {
            let numbers = try await store.list(.keyring).compactMap { name in
                if case .keyring(let number, _) = name { number } else { nil }
            }
            for number in Set(numbers).sorted(by: >) where found == nil {
                for copy in ObjectName.KeyringCopy.allCases {
                    let name = ObjectName.keyring(number: number, copy: copy)
                    var object: [UInt8]?
                    // A store that cannot be reached says nothing about the key.
                    do { object = try await store.read(name) } catch  where error.isLoss { object = nil }
                    if let object,
                        let keyring = try? Keyring.open(object, number: number, under: key, store: header.store)
                    {
                        found = keyring
                    } else {
                        damaged.append((number, name))
                    }
                }
            }
        } catch {
            throw .store(error)
        }
        return (found, damaged)
    }

    /// The snapshots' names, oldest first.
    package func snapshotNames() async throws(ObjectStoreError) -> [SnapshotName] {
        try await store.list(.snapshots).compactMap { name in
            guard case .snapshot(let snapshot) = name else { return nil }
            return snapshot
        }.sorted()
    }

    package func snapshot(_ name: SnapshotName) async throws(ReadError) -> Snapshot {
        let object: ObjectName = .snapshot(name)
        let bytes: [UInt8]
        do { bytes = try await store.read(object) } catch { throw .store(error) }
        do { return try open(bytes, name) } catch { throw .damaged(object.path) }
    }

    func open(_ object: [UInt8], _ name: SnapshotName) throws(SealedObjectError) -> Snapshot {
        try Snapshot.open(object, name: name, keyring: keyring, store: header.store)
    }
}

/// Why something that a snapshot needs could not be read.
package enum ReadError: Error, Equatable, Sendable {
    /// The object is there, but altered or cut.
    case damaged(String)
    /// A chunk that no index and no pack knows: its pack is gone.
    case missingChunk
    case store(ObjectStoreError)

    /// An object that is missing or cut is damage; a store that cannot be read says nothing about what is in it.
    init(_ error: ObjectStoreError, of name: ObjectName) {
        self = error.isLoss ? .damaged(name.path) : .store(error)
    }
}
