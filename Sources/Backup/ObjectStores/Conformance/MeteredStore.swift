import BackupEngine
import BackupFormat
import Synchronization

/// A store that counts what goes in and out, and remembers which names were written.
final class MeteredStore: StoreAround {
    struct Moved: Sendable {
        var up: UInt64 = 0
        var down: UInt64 = 0
    }

    let inner: any ObjectStore
    private let meter = Mutex(Moved())
    private let written = Mutex<Set<ObjectName>>([])

    init(_ store: any ObjectStore) { inner = store }

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

    var uploadsAtOnce: Int { inner.uploadsAtOnce }

    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        goes(name, bytes.count)
        try await inner.create(name, bytes)
    }

    func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        goes(name, 0)
        let upload = try await inner.begin(name)
        return MeteredUpload(upload) { [self] count in meter.withLock { $0.up += UInt64(count) } }
    }

    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        goes(name, bytes.count)
        try await inner.replace(name, bytes)
    }

    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] { came(try await inner.read(name)) }

    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        came(try await inner.read(name, range))
    }

    func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        try await inner.read(name, at: offset, into: buffer)
        meter.withLock { $0.down += UInt64(buffer.count) }
    }

    func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        try await inner.abandoned(before: seconds, removing: removing)
    }

    func freeBytes() async -> UInt64? { await inner.freeBytes() }
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
