package import BackupEngine
package import BackupFormat
import Synchronization

/// The time of a store that waits: a program's, or a test's.
package struct WaitingClock: Sendable {
    /// Nanoseconds, since any moment; never goes back.
    package let now: @Sendable () -> UInt64
    /// Returns then, or earlier if the task is cancelled.
    package let sleepUntil: @Sendable (UInt64) async -> Void

    package init(now: @escaping @Sendable () -> UInt64, sleepUntil: @escaping @Sendable (UInt64) async -> Void) {
        self.now = now
        self.sleepUntil = sleepUntil
    }

    /// The machine's.
    package static var continuous: WaitingClock {
        let start = ContinuousClock.now
        return WaitingClock(
            now: { (ContinuousClock.now - start).nanoseconds },
            sleepUntil: { deadline in
                // The wait is what a limit is.
                try? await Task.sleep(until: start + .nanoseconds(Int64(clamping: deadline)), clock: .continuous)
            })
    }
}

extension Duration {
    fileprivate var nanoseconds: UInt64 {
        UInt64(clamping: components.seconds) * 1_000_000_000 + UInt64(clamping: components.attoseconds / 1_000_000_000)
    }
}

/// A store whose contents come and go no faster than a limit, however many transfers there are at a time. Names, sizes and lists are free.
package final class LimitedStore: StoreAround {
    package let inner: any ObjectStore
    private let clock: WaitingClock
    private let up: Limit?
    private let down: Limit?

    /// - Parameters:
    ///   - uploadBytesPerSecond: nil for no limit.
    ///   - downloadBytesPerSecond: nil for no limit.
    package init(
        _ store: any ObjectStore, uploadBytesPerSecond: UInt64?, downloadBytesPerSecond: UInt64?,
        clock: WaitingClock = .continuous
    ) {
        inner = store
        self.clock = clock
        up = uploadBytesPerSecond.map(Limit.init)
        down = downloadBytesPerSecond.map(Limit.init)
    }

    /// A bucket that transfers share.
    fileprivate final class Limit: Sendable {
        private let bucket: Mutex<TokenBucket>

        init(bytesPerSecond: UInt64) { bucket = Mutex(TokenBucket(bytesPerSecond: bytesPerSecond)) }

        func wait(for byteCount: Int, _ clock: WaitingClock) async {
            let now = clock.now()
            let time = bucket.withLock { $0.take(byteCount, now: now) }
            if time > now { await clock.sleepUntil(time) }
        }
    }

    package var uploadsAtOnce: Int { inner.uploadsAtOnce }

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        await up?.wait(for: bytes.count, clock)
        try await inner.create(name, bytes)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        let upload = try await inner.begin(name)
        return up.map { LimitedUpload(upload: upload, limit: $0, clock: clock) } ?? upload
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        await up?.wait(for: bytes.count, clock)
        try await inner.replace(name, bytes)
    }

    /// How much it is is known when it is there; what comes next waits for it.
    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let bytes = try await inner.read(name)
        await down?.wait(for: bytes.count, clock)
        return bytes
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        await down?.wait(for: range.count, clock)
        return try await inner.read(name, range)
    }

    package func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        await down?.wait(for: buffer.count, clock)
        try await inner.read(name, at: offset, into: buffer)
    }

    package func listed(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ListedObject] {
        try await inner.listed(folder)
    }

    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        try await inner.abandoned(before: seconds, removing: removing)
    }

    package func freeBytes() async -> UInt64? { await inner.freeBytes() }

    package func probed() async throws(ObjectStoreError) -> StoreCapabilities { try await inner.probed() }

    package func removeFolders() async { await inner.removeFolders() }
}

private final class LimitedUpload: ObjectUpload {
    private let upload: any ObjectUpload
    private let limit: LimitedStore.Limit
    private let clock: WaitingClock

    init(upload: any ObjectUpload, limit: LimitedStore.Limit, clock: WaitingClock) {
        self.upload = upload
        self.limit = limit
        self.clock = clock
    }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) {
        await limit.wait(for: bytes.count, clock)
        try await upload.append(bytes)
    }

    func finish() async throws(ObjectStoreError) { try await upload.finish() }

    func abandon() async { await upload.abandon() }
}
