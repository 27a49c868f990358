package import BackupFormat
import ByteCoding

/// What loading found besides the index.
package struct LoadedIndex: Sendable {
    package var index: ChunkIndex
    /// Index objects that are altered or cut, by name.
    package var damaged: [String]
    /// Packs that no readable index lists, whose footers were read instead: the listings a new index can carry.
    package var unlisted: [PackListing]
    /// All index objects that were listed.
    var indexes: Set<ObjectName> = []
    /// Sizes of packs, where the list of them told.
    var listedBytes: [ObjectName: Int] = [:]
    /// What was removed on purpose.
    var removals = Removals()
    /// An index lists packs that are gone.
    var isStale = false
}

/// What new indexes of a store would list.
struct PresentListings {
    /// Of all packs that are there, out of the whole indexes and, for packs that none of these lists, their footers.
    var listings: [PackListing] = []
    /// The indexes that could be read: all that they list is above, or gone.
    var indexes: [ObjectName] = []
}

extension Repository {
    /// Throws if one of these packs is not there with the size that it should have.
    func requirePresent(_ packs: [ChunkIndex.Pack]) async throws(ObjectStoreError) {
        let there = try await store.sizes(of: packs.map { .pack($0.id) })
        for pack in packs {
            let name = ObjectName.pack(pack.id)
            guard let bytes = there[name] else { throw .notFound(name.path) }
            guard bytes == ObjectCipher.objectBytes(plaintextBytes: pack.plaintextBytes) else {
                throw .truncated(name.path)
            }
        }
    }
}

extension Repository {
    /// Reads every index; packs that none lists (a cut backup, a damaged index) are read by their own footers, and
    /// packs that are listed but gone are left out, so that the next backup stores again what was in them.
    package func loadIndex() async throws(ObjectStoreError) -> LoadedIndex {
        try await loadIndex(removals(), leavingOut: [])
    }

    /// - Parameter leftOut: packs that are taken for absent, since they are about to go.
    func loadIndex(
        _ removals: Removals, leavingOut leftOut: Set<ObjectID>
    ) async throws(ObjectStoreError) -> LoadedIndex {
        var loaded = LoadedIndex(index: ChunkIndex(of: self), damaged: [], unlisted: [], removals: removals)
        var lost: Set<ObjectID> = []
        var packs: [ObjectName] = []
        while true {
            loaded.indexes.formUnion(try await store.list(.index))
            (loaded.index, loaded.damaged) = try await readIndexes(loaded.indexes, leavingOut: leftOut.union(lost))
            // After the indexes: whatever they list was there before them.
            let listed = try await store.listed(.packs)
            packs = listed.map(\.name)
            loaded.listedBytes = listed.reduce(into: [:]) { $0[$1.name] = $1.bytes }
            let absent = try await absentPacks(loaded.index.packs.map(\.id), shown: Set(packs))
            if absent.isEmpty { break }
            // Rare, and then the indexes are read again: what a lost pack hid may lie in another one.
            lost.formUnion(absent)
        }
        loaded.isStale = !lost.isEmpty
        let missed = lost.subtracting(removals.condemned).map { ObjectName.pack($0).path }
        loaded.damaged += removals.damaged + missed.sorted()
        for name in packs.sorted(by: { $0.path < $1.path }) {
            guard case .pack(let id) = name, !loaded.index.knows(pack: id), !leftOut.contains(id) else { continue }
            var listing: PackListing?
            do { listing = try await packFooter(id) } catch  where error.isLoss { listing = nil }
            if let listing {
                loaded.unlisted.append(listing)
                try loaded.index.add(listing)
            } else {
                loaded.damaged.append(name.path)
            }
        }
        return loaded
    }

    private func readIndexes(
        _ names: Set<ObjectName>, leavingOut leftOut: Set<ObjectID>
    ) async throws(ObjectStoreError) -> (ChunkIndex, damaged: [String]) {
        var index = ChunkIndex(of: self)
        var damaged: [String] = []
        for name in names.sorted(by: { $0.path < $1.path }) {
            guard case .index(let id) = name else { continue }
            if let object = try await readUnlessLost(name), let opened = try? openIndex(object, id: id) {
                for listing in opened.packs where !leftOut.contains(listing.pack) {
                    try index.add(listing)
                }
            } else {
                damaged.append(name.path)
            }
        }
        return (index, damaged)
    }

    /// Those that are not there. A list may lack what is: each pack that it lacks is asked for by itself.
    private func absentPacks(
        _ packs: [ObjectID], shown: Set<ObjectName>
    ) async throws(ObjectStoreError) -> [ObjectID] {
        let unseen = packs.filter { !shown.contains(.pack($0)) }
        guard !unseen.isEmpty else { return [] }
        let there = try await store.sizes(of: unseen.map { .pack($0) })
        return unseen.filter { there[.pack($0)] == nil }
    }

    /// - Parameters:
    ///   - indexes: that were listed before: a list may lack them now.
    ///   - gone: packs of which it is known that they are not there, whatever a list shows.
    func presentListings(
        _ indexes: Set<ObjectName>, without gone: Set<ObjectID> = []
    ) async throws(ObjectStoreError) -> PresentListings {
        var present = PresentListings()
        var listings: [ObjectID: PackListing] = [:]
        for name in indexes.union(try await store.list(.index)).sorted(by: { $0.path < $1.path }) {
            guard case .index(let id) = name, let object = try await readUnlessLost(name),
                let index = try? openIndex(object, id: id)
            else { continue }
            present.indexes.append(name)
            for listing in index.packs where !gone.contains(listing.pack) { listings[listing.pack] = listing }
        }
        let shown = Set(try await store.list(.packs))
        for pack in try await absentPacks(Array(listings.keys), shown: shown) { listings[pack] = nil }
        for name in shown {
            guard case .pack(let id) = name, listings[id] == nil, !gone.contains(id) else { continue }
            do { listings[id] = try await packFooter(id) } catch  where error.isLoss {}
        }
        present.listings = listings.values.sorted { $0.pack.hex < $1.pack.hex }
        return present
    }

    private func readUnlessLost(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8]? {
        do { return try await store.read(name) } catch  where error.isLoss { return nil }
    }

    func openIndex(_ object: [UInt8], id: ObjectID) throws -> Index {
        try Index(decodingPadded: try open(object, .index, id))
    }

    /// The plaintext of an object that is sealed under an epoch's key.
    func open(_ object: [UInt8], _ kind: ObjectKind, _ id: ObjectID) throws(SealedObjectError) -> [UInt8] {
        try cipher(try readPreamble(of: object, kind: kind, id: id)).open(object)
    }

    /// Reads a pack's footer from its last frames; nil if it is damaged.
    func packFooter(_ id: ObjectID) async throws(ObjectStoreError) -> PackListing? {
        let name = ObjectName.pack(id)
        let size = try await store.size(of: name)
        guard let plaintextBytes = ObjectCipher.plaintextBytes(objectBytes: size), plaintextBytes <= packBytesMax
        else { return nil }
        let clear = try await store.read(name, 0..<Preamble.byteCount)
        guard let preamble = try? readPreamble(of: clear, kind: .pack, id: id), let cipher = try? cipher(preamble)
        else { return nil }
        var tail: [UInt8] = []
        var wanted = PackListing.footerFixedBytes
        for frame in (0..<ObjectCipher.frameCount(plaintextBytes: plaintextBytes)).reversed() {
            let sealed = try await store.read(name, ObjectCipher.frameRange(frame, plaintextBytes: plaintextBytes))
            guard let plaintext = try? cipher.openFrame(frame, sealed, plaintextBytes: plaintextBytes)
            else { return nil }
            tail = plaintext + tail
            guard tail.count >= wanted else { continue }
            guard let bytes = try? PackListing.footerBytes(ofTail: tail, plaintextBytes: plaintextBytes)
            else { return nil }
            wanted = bytes
            if tail.count >= wanted { break }
        }
        return try? PackListing(
            pack: id, epoch: preamble.epoch, plaintextBytes: plaintextBytes, footerIn: tail)
    }

    /// The cipher of an object of this store.
    package func cipher(_ preamble: Preamble) throws(SealedObjectError) -> ObjectCipher {
        guard let key = keyring.key(ofEpoch: preamble.epoch) else { throw .notThisObject }
        do { return try ObjectCipher(preamble: preamble, key: key, store: header.store) } catch { throw .malformed }
    }
}
