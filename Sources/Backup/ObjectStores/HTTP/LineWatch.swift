import NIOCore
import Synchronization

/// Notes when something last moved on a line.
final class LineWatch: Sendable {
    /// What lies in this machine's own buffers when the last part of a body was taken, and how slow a line may be that brings it
    /// away in time.
    private static let bufferedBytesMax = 600 << 10
    private static let slowestBytesPerSecond = 4_096

    private let limit: Duration
    private let deadline: Mutex<ContinuousClock.Instant>

    init(_ limit: Duration) {
        self.limit = limit
        deadline = Mutex(.now + limit)
    }

    func moved() { allow(limit) }

    /// All of a body was taken; much of it may still be here.
    func isHandedOver(_ byteCount: Int) {
        allow(limit + .seconds(min(byteCount, Self.bufferedBytesMax) / Self.slowestBytesPerSecond))
    }

    private func allow(_ time: Duration) { deadline.withLock { $0 = .now + time } }

    /// Returns when nothing has moved for as long as is allowed.
    func untilStalled() async throws {
        while true {
            let next = deadline.withLock { $0 }
            guard ContinuousClock.now < next else { return }
            // The wait is what the limit is.
            try await Task.sleep(until: next, clock: .continuous)
        }
    }
}

/// A body that is taken part by part, each noted, and none before the line has taken the ones before.
struct WatchedParts: AsyncSequence, Sendable {
    enum Content: Sendable {
        case bytes(ByteBuffer)
        case spooled(SpooledBytes)

        /// Nil if nothing is sent.
        init?(_ body: StoreBody) {
            switch body {
            case .none: return nil
            case .bytes(let bytes): self = .bytes(ByteBuffer(bytes: bytes))
            case .spooled(let spooled): self = .spooled(spooled)
            }
        }
    }

    /// So small that on a slow line each goes in less than the stall limit.
    static let partBytes = 128 << 10
    private let content: Content
    private let watch: LineWatch
    private let loop: any EventLoop

    /// - Parameter loop: the client's only one.
    init(_ content: Content, _ watch: LineWatch, _ loop: any EventLoop) {
        self.content = content
        self.watch = watch
        self.loop = loop
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var parts: WatchedParts
        fileprivate var offset = 0

        mutating func next() async throws -> ByteBuffer? {
            parts.watch.moved()
            // The client hands parts to its event loop and learns only there that the line is full: without this turn of the loop
            // it takes megabytes that cannot be sent.
            try await parts.loop.submit {}.get()
            guard let part = try parts.part(at: offset) else {
                parts.watch.isHandedOver(offset)
                return nil
            }
            offset += part.readableBytes
            return part
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(parts: self) }

    private func part(at offset: Int) throws -> ByteBuffer? {
        switch content {
        case .bytes(let buffer):
            let count = Swift.min(Self.partBytes, buffer.readableBytes - offset)
            return count > 0 ? buffer.getSlice(at: buffer.readerIndex + offset, length: count) : nil
        case .spooled(let spooled):
            let count = Swift.min(Self.partBytes, spooled.byteCount - offset)
            return count > 0 ? try spooled.part(at: offset, count: count) : nil
        }
    }
}
