package import BackupFormat

/// Where encrypted objects lie. One contract for every store; `Tests/Backup` runs one suite against each.
///
/// - An object is there whole under its name or not at all, whatever fails in between.
/// - `create` never replaces: two writers of one name cannot both succeed.
/// - What `create` and `replace` have acknowledged survives a crash of this machine.
package protocol ObjectStore: Sendable {
    /// Where it is, for people.
    var place: String { get }

    /// How many objects that are handed over in parts may be on their way at a time. More than a few help only where each waits
    /// for an answer from far away, and then a store keeps them elsewhere than in memory.
    var uploadsAtOnce: Int { get }

    /// Writes a new object; throws `.exists` if the name is taken.
    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError)
    /// Begins a new object that is handed over part by part, so that it never lies in memory whole.
    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload
    /// Writes an object over the old one, atomically. Only the header is ever replaced.
    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError)
    /// The whole object.
    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8]
    /// The bytes of the object in a range that lies inside it; throws `.truncated` if it does not.
    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8]
    /// The same into memory that the caller uses again: as many bytes as the buffer has, from `offset` on.
    func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError)
    /// The object's size in bytes.
    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int
    /// The objects in a folder, in no particular order. Other files are left out.
    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName]
    /// The same with sizes, where the store's lists tell them.
    func listed(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ListedObject]
    /// Removes an object; an object that is not there is no error.
    func delete(_ name: ObjectName) async throws(ObjectStoreError)
    /// What writers that were killed left of objects that never came to be: it is no object, and takes room.
    ///
    /// - Parameters:
    ///   - seconds: since 1970; what was written to later may be on its way.
    ///   - removing: or only count it.
    /// - Returns: its bytes.
    func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64
    /// How much more it takes, where it can tell.
    func freeBytes() async -> UInt64?
    /// Finds out what stores of this kind do differently, with objects of its own that it removes again.
    func probed() async throws(ObjectStoreError) -> StoreCapabilities
    /// Removes the folders that the store made for its objects, its own too, as far as nothing lies in them.
    func removeFolders() async
}

/// An object on its way into a store: nothing stands under its name before `finish` has returned, which is `create`'s
/// promise. One call at a time, in order; after an error `abandon` is the only call left.
package protocol ObjectUpload: AnyObject {
    /// The bytes are lent for as long as the call lasts.
    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError)
    /// Throws `.exists` if the name is taken.
    func finish() async throws(ObjectStoreError)
    /// Gives the object up and leaves nothing of it.
    func abandon() async
}

extension ObjectStore {
    package var uploadsAtOnce: Int { 2 }

    package func freeBytes() async -> UInt64? { nil }

    /// For stores whose lists tell no sizes.
    package func listed(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ListedObject] {
        try await list(folder).map { ListedObject(name: $0, bytes: nil) }
    }

    /// For stores that have none.
    package func removeFolders() async {}

    /// For stores of which nothing needs to be found out.
    package func probed() async throws(ObjectStoreError) -> StoreCapabilities { StoreCapabilities() }

    /// For stores in which nothing is left.
    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 { 0 }

    /// For stores that take objects whole.
    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        GatheringUpload(store: self, name: name)
    }

    package func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        let bytes = try await read(name, offset..<offset + buffer.count)
        guard bytes.count == buffer.count else { throw .truncated(name.path) }
        buffer.copyBytes(from: bytes)
    }
}

/// Gathers the parts and creates the object at the end.
private final class GatheringUpload: ObjectUpload {
    private let store: any ObjectStore
    private let name: ObjectName
    private var bytes: [UInt8] = []

    init(store: any ObjectStore, name: ObjectName) {
        self.store = store
        self.name = name
    }

    func append(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }

    func finish() async throws(ObjectStoreError) { try await store.create(name, bytes) }

    func abandon() { bytes = [] }
}

/// An object as a list shows it.
package struct ListedObject: Hashable, Sendable {
    package let name: ObjectName
    /// Nil where the list does not tell.
    package let bytes: Int?

    package init(name: ObjectName, bytes: Int?) {
        self.name = name
        self.bytes = bytes
    }
}

/// What stores of one kind do differently, as far as it was found out of one.
package struct StoreCapabilities: Codable, Equatable, Sendable {
    /// Whether the server itself refuses to write over an object that `create` meets, whoever writes at the same moment. Nil if that
    /// was not tried: then nothing is taken for granted.
    package var refusesToReplace: Bool?
    /// Whether what is deleted stays as an old version, until the store's own rules remove it.
    package var keepsDeleted: Bool?

    package init(refusesToReplace: Bool? = nil, keepsDeleted: Bool? = nil) {
        self.refusesToReplace = refusesToReplace
        self.keepsDeleted = keepsDeleted
    }
}

/// What went wrong in a store, and so what is safe to do next. Details are the system's own words, without contents.
package enum ObjectStoreError: Error, Equatable, Sendable {
    /// There is no such object.
    case notFound(String)
    /// The name is taken; nothing was changed.
    case exists(String)
    /// No room: nothing was written under the name. Free some space and try again.
    case full
    /// It takes no more today, which is no matter of room: the words say why. Go on tomorrow.
    case dailyLimit(String)
    /// The object ends before the range does: it was cut.
    case truncated(String)
    /// The store refuses: permissions, or it is read-only.
    case denied(String)
    /// The store does not accept who we say we are: sign in to it again. Nothing was written, unless
    /// the words say that an answer was lost.
    case credentials(String)
    /// The task that asked was cancelled, which says nothing about the store; the object may or may not have been written.
    case cancelled
    /// Anything else; the object may or may not have been written.
    case failed(String)

    /// Whether the object itself is missing or cut, as against a store that cannot be reached.
    var isLoss: Bool {
        switch self {
        case .notFound, .truncated: true
        case .exists, .full, .dailyLimit, .denied, .credentials, .cancelled, .failed: false
        }
    }
}
