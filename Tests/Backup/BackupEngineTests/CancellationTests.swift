import BackupEngine
import BackupFormat
import Synchronization
import TestSupport
import Testing

/// A store whose packs do not go on until whoever sends them is told to stop, as on a line on which nothing moves.
private final class GatedStore: StoreAround {
    private struct State {
        var inside = 0
        var abandoned = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let store: MemoryStore
    var inner: any ObjectStore { store }
    private let state = Mutex(State())

    init(_ store: MemoryStore) { self.store = store }

    var abandoned: Int { state.withLock { $0.abandoned } }
    var inside: Int { state.withLock { $0.inside } }

    /// Until a pack is on its way.
    func waitUntilInside() async {
        await withCheckedContinuation { continuation in
            let isInside = state.withLock { state in
                if state.inside == 0 { state.waiting.append(continuation) }
                return state.inside > 0
            }
            if isInside { continuation.resume() }
        }
    }

    /// Ends with the task alone.
    fileprivate func hold() async throws(ObjectStoreError) {
        let waiting = state.withLock { state in
            state.inside += 1
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume() }
        let gate = AsyncStream<Void> { _ in }
        for await _ in gate {}
        state.withLock { $0.inside -= 1 }
        throw .failed("the connection broke off")
    }

    fileprivate func noteAbandoned() { state.withLock { $0.abandoned += 1 } }

    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload { GatedUpload(self) }
}

private final class GatedUpload: ObjectUpload {
    private let store: GatedStore

    init(_ store: GatedStore) { self.store = store }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) {}
    func finish() async throws(ObjectStoreError) { try await store.hold() }
    func abandon() async { store.noteAbandoned() }
}

@Suite(.timeLimit(.minutes(2))) struct `A backup that is stopped` {
    /// More than two packs may be on their way.
    private let source = MemorySource(
        Dictionary(uniqueKeysWithValues: (0..<20).map { ("\($0)", noise(3_000, seed: UInt64($0))) }))

    @Test func `ends at once though its packs do not, says so, and leaves nothing`() async throws {
        let inner = MemoryStore()
        let wing = try await Wing(inner)
        let before = inner.contents
        let gated = GatedStore(inner)
        let task = Task { try await wing.over(gated).backUp(source, packBytes: 4_096) }
        await gated.waitUntilInside()
        task.cancel()
        await #expect(throws: BackupError.store(.cancelled)) { _ = try await task.value }
        #expect(gated.inside == 0 && gated.abandoned >= 1 && inner.contents == before)
        try await wing.backUp(source, packBytes: 4_096)
        #expect(try await wing.verify().findings == [])
    }

    @Test func `before it began to send, sends nothing`() async throws {
        let inner = MemoryStore()
        let wing = try await Wing(inner)
        let before = inner.contents
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await wing.backUp(source, packBytes: 4_096)
        }
        task.cancel()
        await #expect(throws: BackupError.store(.cancelled)) { _ = try await task.value }
        #expect(inner.contents == before)
    }

    @Test func `by a fault elsewhere does not wait for packs on which nothing moves, and names the fault`() async throws
    {
        let inner = MemoryStore()
        let wing = try await Wing(inner)
        let gated = GatedStore(inner)
        // The folder is there when it is opened, and gone when it has been read, before the first pack's end is waited for.
        let before = inner.contents
        let task = Task {
            var small = MemorySource(["one": noise(5_000, seed: 1)])
            small.vanishesAtLook = 3
            return try await wing.over(gated).backUp(small, packBytes: 4_096)
        }
        await #expect(throws: BackupError.source(.noSource("memory"))) { _ = try await task.value }
        #expect(gated.inside == 0 && inner.contents == before)
    }
}
