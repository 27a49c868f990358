import BackupEngine
import BackupFormat
import Synchronization

/// Another store, with a limit to what it holds, or with something that happens before its k-th call.
final class WatchedStore: StoreAround {
    private struct State {
        var calls = 0
        var quotaBytes = Int.max
    }

    private let store: MemoryStore
    var inner: any ObjectStore { store }
    private let state = Mutex(State())
    private let interruptedCall: Int
    private let interruption: @Sendable () async -> Void

    init(
        _ store: MemoryStore, beforeCall interruptedCall: Int = .max,
        _ interruption: @escaping @Sendable () async -> Void = {}
    ) {
        self.store = store
        self.interruptedCall = interruptedCall
        self.interruption = interruption
    }

    var callCount: Int { state.withLock { $0.calls } }
    func limit(toBytes bytes: Int) { state.withLock { $0.quotaBytes = bytes } }

    private func call() async {
        let number = state.withLock { state in
            defer { state.calls += 1 }
            return state.calls
        }
        if number == interruptedCall { await interruption() }
    }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        await call()
        let used = store.contents.values.reduce(0) { $0 + $1.count }
        guard used + bytes.count <= state.withLock({ $0.quotaBytes }) else { throw .full }
        try await store.create(name, bytes)
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        await call()
        try await store.replace(name, bytes)
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        await call()
        return try await store.read(name)
    }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        await call()
        return try await store.read(name, range)
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        await call()
        return try await store.size(of: name)
    }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        await call()
        return try await store.list(folder)
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        await call()
        try await store.delete(name)
    }
}
