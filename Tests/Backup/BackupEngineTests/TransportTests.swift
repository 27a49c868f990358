import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import ObjectStores

@Suite struct `A line to a store` {
    static func transport(stall: Duration) -> HTTPStoreTransport { HTTPStoreTransport(stall: stall) }

    @Test(.timeLimit(.minutes(5)), arguments: [0, 16 << 20])
    func `on which nothing moves is given up`(bodyBytes: Int) async throws {
        // It is connected to, and neither reads nor answers.
        let listener = try Listener()
        defer { listener.stop() }
        let request = StoreRequest(
            method: "PUT", url: "\(listener.address)/x",
            body: bodyBytes == 0 ? .none : .bytes([UInt8](repeating: 1, count: bodyBytes)), answerBytesMax: 10)
        await #expect(throws: StoreTransportError.broken("nothing moves on the line")) {
            _ = try await Self.transport(stall: .milliseconds(50)).send(request)
        }
    }

    /// A machine that is busy with other tests may leave this one without a turn for as long as the line may rest: then it is tried
    /// again. A limit on the whole time would end each try.
    @Test(.timeLimit(.minutes(5))) func `on which something moves is not given up, however slow it is`() async throws {
        for triesLeft in (0..<5).reversed() {
            do {
                return #expect(try await Self.sentSlowly(bytes: 3 << 20, stall: .seconds(2)).body == Array("ok".utf8))
            } catch StoreTransportError.broken where triesLeft > 0 {}
        }
    }

    private static func sentSlowly(bytes: Int, stall: Duration) async throws -> StoreAnswer {
        let listener = try Listener()
        defer { listener.stop() }
        let reader = Thread {
            guard let connection = listener.accepted() else { return }
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            var left = bytes
            while left > 0 {
                let got = read(connection, &buffer, buffer.count)
                guard got > 0 else { break }
                left -= got
                // A slow line.
                usleep(70_000)
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            _ = write(connection, answer, answer.utf8.count)
            close(connection)
        }
        reader.start()
        return try await transport(stall: stall).send(
            StoreRequest(
                method: "PUT", url: "\(listener.address)/x", body: .bytes([UInt8](repeating: 1, count: bytes)),
                answerBytesMax: 10))
    }

    /// Else it would be read as fast as the disk gives it, far ahead of the line.
    @Test func `is given the next part of a body when it has taken the one before`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let body = ByteBuffer(repeating: 1, count: 200 * WatchedParts.partBytes)
        var parts = WatchedParts(.bytes(body), LineWatch(.seconds(60)), loop).makeAsyncIterator()
        let taken = Mutex(0)
        for number in 1...200 {
            // As the client does with a part.
            loop.execute { taken.withLock { $0 += 1 } }
            #expect(try await parts.next()?.readableBytes == WatchedParts.partBytes)
            #expect(taken.withLock { $0 } == number)
        }
        #expect(try await parts.next() == nil)
    }

    @Test func `that does not come about says so`() async throws {
        let listener = try Listener()
        let address = listener.address
        listener.stop()
        await #expect(throws: StoreTransportError.broken("no connection")) {
            _ = try await Self.transport(stall: .seconds(600)).send(
                StoreRequest(method: "GET", url: address, answerBytesMax: 10))
        }
    }

    @Test func `gives no answer that is longer than any should be`() async throws {
        let listener = try Listener()
        defer { listener.stop() }
        let server = Thread {
            guard let connection = listener.accepted() else { return }
            // Who closes with something unread resets the line, and the answer may be lost.
            var request = [UInt8](repeating: 0, count: 4_096)
            _ = read(connection, &request, request.count)
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
            _ = write(connection, answer, answer.utf8.count)
            close(connection)
        }
        server.start()
        await #expect(throws: StoreTransportError.tooLong) {
            _ = try await Self.transport(stall: .seconds(600)).send(
                StoreRequest(method: "GET", url: listener.address, answerBytesMax: 10))
        }
    }
}

/// A socket of this machine that can be connected to.
private final class Listener: Sendable {
    private let listener: Int32
    let address: String

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 4) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        try require(isListening, "listen")
        self.listener = listener
        self.address = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    }

    func accepted() -> Int32? {
        let connection = accept(listener, nil, nil)
        return connection < 0 ? nil : connection
    }

    func stop() { close(listener) }
}
