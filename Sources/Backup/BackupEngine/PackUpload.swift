import BackupFormat
import ByteCoding
import Primitives

/// The frames that are being filled, sealed or written: a few, which bounds the memory of a backup.
final class FramePool {
    private static let framesMax = 3

    private var free: [ScratchBuffer]
    private var busy: [(buffer: ScratchBuffer, done: Task<Void, any Error>)] = []

    init() { free = (0..<Self.framesMax).map { _ in ScratchBuffer(byteCount: ObjectCipher.sealedFrameBytes) } }

    /// A free frame, or the one that becomes free first.
    func take() async -> ScratchBuffer {
        if let frame = free.popLast() { return frame }
        let (frame, done) = busy.removeFirst()
        // Whoever waits for the pack learns of a failure.
        _ = await done.resultUnlessCancelled
        return frame
    }

    func giveBack(_ frame: ScratchBuffer, after done: Task<Void, any Error>) { busy.append((frame, done)) }

    func giveBack(_ frame: ScratchBuffer) { free.append(frame) }
}

extension Task where Failure == any Error {
    /// Waits for it, and cancels it if the one who waits is cancelled.
    fileprivate var resultUnlessCancelled: Result<Success, any Error> {
        get async {
            await withTaskCancellationHandler {
                await result
            } onCancel: {
                cancel()
            }
        }
    }
}

/// One pack that is filled, sealed and sent on frame by frame (spec: backup format, sections 3 and 5).
///
/// Pieces come first, so that a frame that is full of them is never the last and can be sealed before the pack's size is known.
/// Filling goes on in the caller; sealing and writing follow it, one frame after the other.
final class PackUpload {
    private let repository: Repository
    private let id: ObjectID
    private var layout: PackLayout
    private let frames: FramePool
    private var frame: ScratchBuffer?
    private var filled = 0
    private var framesSent = 0
    private var plaintextBytes = 0
    private let sending: SealingUpload
    private var last: Task<Void, any Error>?

    init(_ repository: Repository, id: ObjectID, capacity: Int, _ frames: FramePool) {
        self.repository = repository
        self.id = id
        layout = PackLayout(capacity: capacity)
        self.frames = frames
        sending = SealingUpload(
            repository, Preamble(kind: .pack, epoch: repository.keyring.current.number, id: id))
    }

    var isEmpty: Bool { layout.isEmpty }
    var roomBytes: Int { layout.roomBytes }

    /// Appends the beginning of what is left of a chunk's stored form; returns how many bytes it took.
    func append(
        _ entry: PackEntry, stored: UnsafeRawBufferPointer
    ) async throws(ByteCodingError) -> Int {
        let piece = try layout.place(entry)
        await fill(UnsafeRawBufferPointer(rebasing: stored[piece]), count: piece.count)
        return piece.count
    }

    /// Sends what is left: zeros and the footer (section 5). What follows goes on beside the caller.
    func complete() async throws(ObjectStoreError) {
        let end: (zeroBytes: Int, footer: [UInt8], plaintextBytes: Int)
        do { end = try layout.end() } catch { throw .failed("a pack has too many entries") }
        plaintextBytes = end.plaintextBytes
        await fill(nil, count: end.zeroBytes)
        // The footer must outlive a suspension.
        let footer = ScratchBuffer(byteCount: end.footer.count)
        footer.bytes.copyBytes(from: end.footer)
        await fill(UnsafeRawBufferPointer(footer.bytes), count: end.footer.count)
        await send(last: true)
        let sending = sending
        last = follow { try await sending.finish() }
    }

    /// After all that was begun before. Who cancels it cancels that too.
    private func follow(_ work: @escaping @Sendable () async throws -> Void) -> Task<Void, any Error> {
        let before = last
        return Task {
            try await before?.resultUnlessCancelled.get()
            try Task.checkCancellation()
            try await work()
        }
    }

    /// - Parameter bytes: zeros if nil.
    private func fill(_ bytes: UnsafeRawBufferPointer?, count: Int) async {
        var offset = 0
        while offset < count {
            // A full frame is sent when it is known that more follows, so that the last one is never sent too early.
            if filled == ObjectCipher.frameBytes { await send(last: false) }
            let frame: ScratchBuffer
            if let current = self.frame {
                frame = current
            } else {
                frame = await frames.take()
                self.frame = frame
            }
            let taken = min(count - offset, ObjectCipher.frameBytes - filled)
            let room = UnsafeMutableRawBufferPointer(rebasing: frame.bytes[filled..<filled + taken])
            if let bytes {
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + taken]))
            } else {
                room.initializeMemory(as: UInt8.self, repeating: 0)
            }
            filled += taken
            offset += taken
        }
    }

    private func send(last isLast: Bool) async {
        guard let frame else { return }
        let (sending, number, count) = (self.sending, framesSent, filled)
        let task = follow { try await sending.append(frame, count: count, number: number, last: isLast) }
        last = task
        frames.giveBack(frame, after: task)
        self.frame = nil
        filled = 0
        framesSent += 1
    }

    /// Waits until the pack is in the store.
    func listing() async throws(ObjectStoreError) -> PackListing {
        do {
            try await last?.resultUnlessCancelled.get()
        } catch {
            // What a store says when its task was cancelled is no fault of it.
            if Task.isCancelled || error is CancellationError { throw .cancelled }
            throw error as? ObjectStoreError ?? .failed("a pack could not be sealed")
        }
        return PackListing(
            pack: id, epoch: sending.preamble.epoch, plaintextBytes: plaintextBytes, entries: layout.entries)
    }

    func cancel() { last?.cancel() }

    /// Stops what is being written; what is not in the store by then leaves nothing.
    func abandon() async {
        cancel()
        let result = await last?.result
        if let frame { frames.giveBack(frame) }
        frame = nil
        if case .success? = result, plaintextBytes > 0 { return }
        await sending.abandon()
    }
}

/// Seals the frames of one object and hands them to the store.
///
/// `@unchecked Sendable`: each call begins after the one before has ended (`PackUpload` chains them).
private final class SealingUpload: @unchecked Sendable {
    let preamble: Preamble
    private let repository: Repository
    private var cipher: ObjectCipher?
    private var upload: (any ObjectUpload)?

    init(_ repository: Repository, _ preamble: Preamble) {
        self.repository = repository
        self.preamble = preamble
    }

    /// - Parameter frame: the plaintext; it is sealed in place.
    func append(_ frame: ScratchBuffer, count: Int, number: Int, last: Bool) async throws {
        let cipher = try self.cipher ?? repository.cipher(preamble)
        self.cipher = cipher
        let upload = try await begun()
        let sealed = UnsafeMutableRawBufferPointer(rebasing: frame.bytes[..<(count + AES256GCM.tagBytes)])
        cipher.sealFrame(number, last: last, in: sealed)
        try await upload.append(UnsafeRawBufferPointer(sealed))
    }

    private func begun() async throws -> any ObjectUpload {
        if let upload { return upload }
        let upload = try await repository.store.begin(.pack(preamble.id))
        self.upload = upload
        let clear = ScratchBuffer(byteCount: Preamble.byteCount)
        clear.bytes.copyBytes(from: try preamble.encoded())
        try await upload.append(UnsafeRawBufferPointer(clear.bytes))
        return upload
    }

    func finish() async throws {
        try await upload?.finish()
        upload = nil
    }

    func abandon() async {
        await upload?.abandon()
        upload = nil
    }
}
