import BackupEngine
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
        await #expect(throws: StoreTransportError.tooLong) {
            _ = try await Self.answer("200 OK", ["Content-Length: 11"], "hello world", answerBytesMax: 10)
        }
    }

    @Test(arguments: [
        // Some servers send a part with the status of a whole.
        ("206 Partial Content", "Content-Range: bytes 3-7/20", true),
        ("200 OK", "Content-Range: bytes 3-7/20", true),
        ("206 Partial Content", "Content-Range: bytes 2-6/20", false),
        ("206 Partial Content", "Content-Range: bytes 3-6/7", false),
        ("206 Partial Content", "Server: x", false), ("200 OK", "Server: x", false),
        ("416 Range Not Satisfiable", "Content-Range: bytes 3-7/20", false),
    ])
    func `writes to lent memory what is just the part that was asked for`(
        status: String, header: String, isPart: Bool
    ) async throws {
        let memory = Lent()
        let answer = try await Self.answer(status, ["Content-Length: 5", header], "hello", lent: memory.part)
        #expect(answer.lentBytes == (isPart ? 5 : 0))
        #expect(answer.body == (isPart ? [] : Array("hello".utf8)))
        #expect(memory.text == (isPart ? "hello." : "......"))
        #expect(answer.isWhole(after: "GET"))
    }

    @Test func `writes nothing beyond lent memory`() async throws {
        let memory = Lent()
        await #expect(throws: StoreTransportError.tooLong) {
            _ = try await Self.answer(
                "200 OK", ["Content-Length: 6", "Content-Range: bytes 3-7/20"], "hello!", lent: memory.part)
        }
        #expect(memory.text.last == ".")
    }

    @Test func `takes a part that breaks off in lent memory for no part`() async throws {
        let memory = Lent()
        let answer = try await Self.answer(
            "206 Partial Content", ["Connection: close", "Content-Range: bytes 3-7/20"], "hell", lent: memory.part)
        #expect(throws: ObjectStoreError.failed("x: another part was sent than was asked for")) {
            try answer.part(into: memory.part, of: "x")
        }
        #expect(memory.text == "hell..")
    }

    /// The answer to a request, of a server that says just this.
    private static func answer(
        _ status: String, _ headers: [String], _ body: String, answerBytesMax: Int = 100, lent: LentMemory? = nil
    ) async throws -> StoreAnswer {
        let listener = try Listener()
        defer { listener.stop() }
        let server = Thread {
            guard let connection = listener.accepted() else { return }
            // Who closes with something unread resets the line, and the answer may be lost.
            var request = [UInt8](repeating: 0, count: 4_096)
            _ = read(connection, &request, request.count)
            let answer = (["HTTP/1.1 \(status)"] + headers).joined(separator: "\r\n") + "\r\n\r\n" + body
            _ = write(connection, answer, answer.utf8.count)
            close(connection)
        }
        server.start()
        return try await transport(stall: .seconds(600)).send(
            StoreRequest(method: "GET", url: listener.address, answerBytesMax: answerBytesMax, lent: lent))
    }
}

/// Five bytes, lent for those of an object from its fourth on, and one behind them that is not.
private final class Lent {
    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 6, alignment: 1)

    init() { bytes.copyBytes(from: "......".utf8) }
    deinit { bytes.deallocate() }

    var part: LentMemory { LentMemory(UnsafeMutableRawBufferPointer(rebasing: bytes[..<5]), at: 3) }
    var text: String { String(decoding: bytes, as: UTF8.self) }
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
