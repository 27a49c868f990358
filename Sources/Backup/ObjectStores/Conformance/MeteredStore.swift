import BackupEngine
import BackupFormat
import Synchronization

/// A store that counts what goes in and out, and remembers which names were written.
final class MeteredStore: ObjectStore {
    struct Moved: Sendable {
        var up: UInt64 = 0
        var down: UInt64 = 0
    }

    let store: any ObjectStore
    private let meter = Mutex(Moved())
    private let written = Mutex<Set<ObjectName>>([])

    init(_ store: any ObjectStore) { self.store = store }

    var moved: Moved { meter.withLock { $0 } }

    /// The names that were written, or may have been, since this was asked last.
    func takeWritten() -> Set<ObjectName> {
        written.withLock { written in
            defer { written = [] }
            return written
        }
    }

    /// That another client writes it.
    func note(_ name: ObjectName) { written.withLock { _ = $0.insert(name) } }

    private func goes(_ name: ObjectName, _ count: Int) {
        note(name)
        meter.withLock { $0.up += UInt64(count) }
    }

    private func came(_ bytes: [UInt8]) -> [UInt8] {
        meter.withLock { $0.down += UInt64(bytes.count) }
        return bytes
    }

    var place: String { store.place }
    var uploadsAtOnce: Int { store.uploadsAtOnce }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        goes(name, bytes.count)
        try await store.create(name, bytes)
    }

    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        goes(name, 0)
        let upload = try await store.begin(name)
        return MeteredUpload(upload) { [self] count in meter.withLock { $0.up += UInt64(count) } }
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        goes(name, bytes.count)
        try await store.replace(name, bytes)
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] { came(try await store.read(name)) }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        came(try await store.read(name, range))
    }

    func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        try await store.read(name, at: offset, into: buffer)
        meter.withLock { $0.down += UInt64(buffer.count) }
    }

    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int { try await store.size(of: name) }

    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try await store.list(folder)
    }

    func delete(_ name: ObjectName) async throws(ObjectStoreError) { try await store.delete(name) }

    func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        try await store.abandoned(before: seconds, removing: removing)
    }

    func freeBytes() async -> UInt64? { await store.freeBytes() }
}

private final class MeteredUpload: ObjectUpload {
    private let upload: any ObjectUpload
    private let count: (Int) -> Void

    init(_ upload: any ObjectUpload, count: @escaping (Int) -> Void) {
        self.upload = upload
        self.count = count
    }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) {
        count(bytes.count)
        try await upload.append(bytes)
    }

    func finish() async throws(ObjectStoreError) { try await upload.finish() }

    func abandon() async { await upload.abandon() }
}
