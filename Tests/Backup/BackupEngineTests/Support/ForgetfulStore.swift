import BackupEngine
import BackupFormat
import Synchronization

/// A store of which some lists lack something that is there.
final class ForgetfulStore: StoreAround {
    private let store: MemoryStore
    var inner: any ObjectStore { store }
    private let lists = Mutex(0)
    private let isForgetful: @Sendable (Int) -> Bool
    private let isHidden: @Sendable (ObjectName) -> Bool
    private let unreadable: ObjectName?

    /// - Parameters:
    ///   - isForgetful: of lists, counted from 0.
    ///   - isHidden: of what is there.
    ///   - unreadable: an object that nothing is read of.
    init(
        _ store: MemoryStore, at isForgetful: @escaping @Sendable (Int) -> Bool = { _ in true },
        lacking isHidden: @escaping @Sendable (ObjectName) -> Bool, unreadable: ObjectName? = nil
    ) {
        self.store = store
        self.isForgetful = isForgetful
        self.isHidden = isHidden
        self.unreadable = unreadable
    }

    var listCount: Int { lists.withLock { $0 } }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let number = lists.withLock { lists in
            defer { lists += 1 }
            return lists
        }
        let names = try await store.list(folder)
        return isForgetful(number) ? names.filter { !isHidden($0) } : names
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        if name == unreadable { throw .truncated(name.path) }
        return try await store.read(name)
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        if name == unreadable { throw .truncated(name.path) }
        return try await store.read(name, range)
    }
}
