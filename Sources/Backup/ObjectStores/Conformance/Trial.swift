import BackupEngine
import BackupFormat
import Foundation

/// What a group has to work with: a store in which nothing but the header lies, and names that nobody had before.
final class Trial: Sendable {
    let store: MeteredStore
    /// Another client of the same store, if there is one.
    let peer: (any ObjectStore)?
    let extent: StoreConformance.Extent
    private let salt = UInt64.random(in: 0...(.max))

    init(store: MeteredStore, peer: (any ObjectStore)?, extent: StoreConformance.Extent) {
        self.store = store
        self.peer = peer
        self.extent = extent
    }

    /// One of the names of this trial, the same each time.
    func id(_ number: Int) -> ObjectID {
        ObjectID(uncheckedBytes: Noise.bytes(16, seed: salt ^ (UInt64(number) << 40)))
    }

    func pack(_ number: Int) -> ObjectName { .pack(id(number)) }
    func index(_ number: Int) -> ObjectName { .index(id(number)) }

    /// A name of each kind but the header's, which is there, at the ends of what names may be.
    var namesOfEveryKind: [ObjectName] {
        [
            .keyring(number: 0, copy: .a), .keyring(number: 1, copy: .b), .keyring(number: 99_999_999, copy: .a),
            .pack(ObjectID(uncheckedBytes: [UInt8](repeating: 0, count: 16))),
            .pack(ObjectID(uncheckedBytes: [UInt8](repeating: 0xff, count: 16))), pack(900_001),
            .index(ObjectID(uncheckedBytes: [UInt8](repeating: 0xab, count: 16))), index(900_002),
            .snapshot(SnapshotName(number: 0, id: id(900_003))),
            .snapshot(SnapshotName(number: SnapshotName.numberMax, id: id(900_003))), .removal(id(900_004)),
        ]
    }

    func removeAll() async throws {
        let names = Array(store.takeWritten())
        try await Self.delete(names.filter { $0 != .header }, from: store.inner)
        // A group may have been stopped between its replacing and this.
        if names.contains(.header) { try await store.inner.replace(.header, StoreConformance.mark) }
    }

    static func delete(_ names: [ObjectName], from store: any ObjectStore) async throws(ObjectStoreError) {
        try await each(names) { name throws(ObjectStoreError) in try await store.delete(name) }
    }

    static func each<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws(ObjectStoreError) -> Void
    ) async throws(ObjectStoreError) {
        _ = try await together(items, atOnce: 8, body)
    }

    // MARK: What must hold

    func require(_ condition: Bool, _ words: @autoclosure () -> String) throws(Unmet) {
        guard condition else { throw Unmet(words: words()) }
    }

    func require(
        _ expected: ObjectStoreError, from what: String, _ body: () async throws(ObjectStoreError) -> Void
    ) async throws(Unmet) {
        do throws(ObjectStoreError) {
            try await body()
        } catch {
            guard error == expected else {
                throw Unmet(words: "\(what): “\(error.words)” instead of “\(expected.words)”")
            }
            return
        }
        throw Unmet(words: "\(what) went well instead of “\(expected.words)”")
    }

    func require(_ name: ObjectName, holds content: [UInt8], _ when: String) async throws {
        let found = try await store.read(name)
        try require(Noise.equal(found, content), "\(name.path) has other content \(when)")
    }

    func require(_ folder: ObjectName.Folder, lists expected: Set<ObjectName>, _ when: String) async throws {
        let found = try await store.list(folder)
        try require(Set(found).count == found.count, "the list of \(folder.rawValue) names an object twice \(when)")
        let (missing, more) = (expected.subtracting(found), Set(found).subtracting(expected))
        try require(
            missing.isEmpty,
            "the list of \(folder.rawValue) lacks \(missing.count) of \(expected.count) objects \(when)")
        try require(more.isEmpty, "the list of \(folder.rawValue) names \(more.count) objects too many \(when)")
    }
}

/// Bytes that no store can shorten, the same from the same seed (SplitMix64: Steele, Lea, Flood 2014). They keep no secret.
enum Noise {
    static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed
        let words = [UInt64](unsafeUninitializedCapacity: (count + 7) / 8) { buffer, filled in
            filled = (count + 7) / 8
            for index in 0..<filled {
                state &+= 0x9e37_79b9_7f4a_7c15
                var mixed = state
                mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
                mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
                buffer[index] = mixed ^ (mixed >> 31)
            }
        }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }

    static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count
            && left.withUnsafeBytes { left in
                right.withUnsafeBytes { right in
                    guard let first = left.baseAddress, let second = right.baseAddress else { return true }
                    return memcmp(first, second, left.count) == 0
                }
            }
    }
}
