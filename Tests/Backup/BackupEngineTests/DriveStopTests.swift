import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import Synchronization
import TestSupport
import Testing

/// A line on which all of an upload that is stopped has left already: it arrives after the first deletion of what it makes, and before
/// the second.
private final class LateTransport: StoreTransport {
    private let transport: any StoreTransport
    private let asked = Mutex<[String]>([])
    private let upload = Mutex<Task<Int?, Never>?>(nil)
    private let waiting = AsyncStream<Void>.makeStream()
    private let deleted = AsyncStream<Void>.makeStream()

    init(_ transport: any StoreTransport) { self.transport = transport }

    var methods: [String] { asked.withLock { $0 } }
    /// What came of the upload in the end.
    var uploadStatus: Int? { get async { await upload.withLock { $0 }?.value } }

    /// Until an upload is on its way.
    func untilUploading() async { for await _ in waiting.stream { return } }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        if request.url.contains("uploadType=multipart"), upload.withLock({ $0 == nil }) {
            waiting.continuation.yield()
            // Ends when it is stopped.
            let never = AsyncStream<Void>.makeStream()
            for await _ in never.stream {}
            never.continuation.finish()
            upload.withLock { upload in
                upload = Task {
                    for await _ in deleted.stream { break }
                    return try? await transport.send(request).status
                }
            }
            throw .broken("it was stopped")
        }
        let count = asked.withLock { asked in
            asked.append(request.method)
            return asked.count { $0 == request.method }
        }
        guard request.method == "DELETE" else { return try await transport.send(request) }
        if count == 2 { _ = await uploadStatus }
        defer { deleted.continuation.yield() }
        return try await transport.send(request)
    }
}

@Suite struct `An upload to Google Drive that is stopped` {
    @Test func `is deleted when it arrives all the same`() async throws {
        let server = try DriveServer()
        let line = Mutex<LateTransport?>(nil)
        let notes = MemoryNotes()
        let store = try server.store("stopped", notes: notes) { transport in
            let late = LateTransport(transport)
            line.withLock { $0 = late }
            return late
        }
        let late = try #require(line.withLock { $0 })
        let name = ObjectName.pack(`Every store`.id(1))
        let create = Task { try await store.create(name, [1, 2, 3]) }
        await late.untilUploading()
        create.cancel()
        await #expect(throws: ObjectStoreError.self) { try await create.value }
        #expect(await late.uploadStatus == 200)
        // One before it arrived, and one after; more where an answer takes long.
        #expect(late.methods.filter { $0 == "DELETE" }.count >= 2)
        #expect(try await !server.files().contains { $0["name"] as? String == name.path })
        await #expect(throws: ObjectStoreError.notFound(name.path)) { _ = try await store.read(name) }
        try await store.create(name, [4])
        #expect(try await store.read(name) == [4])
    }
}
