import ByteCoding
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import NIOPosix
import Primitives
import RecoveryProtocol
import Synchronization
import Testing

@testable import VaultServer

extension TestVault {
    /// Serves the vault on a free port of the loopback while `body` runs.
    func serving(_ body: (_ port: Int) async throws -> Void) async throws {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = try VaultHTTP(service: service, logger: .silent)
            .application(host: "127.0.0.1", port: 0) { port in continuation.yield(port) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body(port)
                break
            }
            group.cancelAll()
        }
    }
}

/// Messages over bare connections: what a client's library would not send, or not like that.
@Suite(.timeLimit(.minutes(2))) struct MessageHandlerTests {
    private static func post(_ body: [UInt8], headers: String = "", path: String = "/v1/message") -> [UInt8] {
        Array("POST \(path) HTTP/1.1\r\nHost: vault\r\n\(headers)Content-Length: \(body.count)\r\n\r\n".utf8) + body
    }

    private static func get(_ path: String) -> [UInt8] { Array("GET \(path) HTTP/1.1\r\nHost: vault\r\n\r\n".utf8) }

    /// Sends the pieces, and reads until there are as many answers or no more can come.
    private static func talk(
        _ port: Int, _ pieces: [[UInt8]], answers: Int, saysAll: Bool = false
    ) async throws -> [UInt8] {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(
                            isOutboundHalfClosureEnabled: true, inboundType: ByteBuffer.self,
                            outboundType: ByteBuffer.self))
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            for piece in pieces { try await outbound.write(ByteBuffer(bytes: piece)) }
            if saysAll { outbound.finish() }
            var received: [UInt8] = []
            if answers == 0 { return received }
            for try await buffer in inbound {
                received += buffer.readableBytesView
                if Self.answers(in: received).count >= answers { break }
            }
            return received
        }
    }

    private struct HTTPAnswer: Equatable {
        /// Without what is another each time.
        var head: [String]
        var body: [UInt8]
        var status: String { head[0] }
    }

    /// Those that are whole.
    private static func answers(in bytes: [UInt8]) -> [HTTPAnswer] {
        var (answers, rest) = ([HTTPAnswer](), bytes[...])
        while let end = rest.indices.first(where: { rest[$0...].starts(with: Array("\r\n\r\n".utf8)) }) {
            let lines = String(decoding: rest[..<end], as: UTF8.self).components(separatedBy: "\r\n")
            let length = lines.compactMap { Int($0.lowercased().split(separator: "content-length: ").last ?? "") }.first
            let body = rest[(end + 4)...].prefix(length ?? 0)
            guard body.count == length else { break }
            let head = lines.map { line in
                ["x-request-id: ", "date: "].first { line.lowercased().hasPrefix($0) } ?? line
            }
            answers.append(HTTPAnswer(head: head, body: Array(body)))
            rest = rest[body.endIndex...]
        }
        return answers
    }

    private func sealed(_ vault: TestVault) async throws -> [UInt8] {
        try await TestClient(vault).seal(.status(StatusRequest())).sealed.encoded()
    }

    @Test func `a message is answered alike, whichever way it takes`() async throws {
        let vault = try await TestVault()
        try await vault.serving { port in
            let good = try await sealed(vault)
            var unknown = good
            unknown[20] ^= 1
            let noise = [UInt8](repeating: 9, count: SealedRequest.byteCount)
            for (body, status) in [(good, "200 OK"), (unknown, "410 Gone"), (noise, "400 Bad Request")] {
                let short = Self.answers(in: try await Self.talk(port, [Self.post(body)], answers: 1))
                // Nothing unusual, but a word that is left to Hummingbird.
                let long = Self.answers(
                    in: try await Self.talk(port, [Self.post(body, headers: "Connection: keep-alive\r\n")], answers: 1))
                #expect(short.first?.status == "HTTP/1.1 \(status)")
                #expect(short.map(\.head) == long.map(\.head))
                #expect(short.first?.body.count == (body == good ? SealedReply.byteCount : 0))
            }
        }
    }

    @Test func `requests that come in one piece, or in many, are answered in their order`() async throws {
        let vault = try await TestVault()
        try await vault.serving { port in
            let noise = [UInt8](repeating: 9, count: SealedRequest.byteCount)
            let message = Self.post(try await sealed(vault))
            let all =
                message + Self.get("/health") + Self.post(noise) + message
                + Self.post(noise, headers: "Connection: keep-alive\r\n") + message + Self.get("/v1/none") + message
            let expected = [
                "200 OK", "200 OK", "400 Bad Request", "200 OK", "400 Bad Request", "200 OK", "404 Not Found", "200 OK",
            ]
            let pieces = stride(from: 0, to: all.count, by: 1000).map { Array(all[$0..<min($0 + 1000, all.count)]) }
            for pieces in [[all], pieces] {
                let answers = Self.answers(in: try await Self.talk(port, pieces, answers: expected.count))
                #expect(answers.map(\.status) == expected.map { "HTTP/1.1 \($0)" })
                #expect(answers.count == 8 && answers[1].body == Array("ok\n".utf8))
                #expect(answers.filter { $0.body.count == SealedReply.byteCount }.count == 4)
                #expect(vault.service.messages.arrivedCount == 0)
            }
        }
    }

    @Test func `who has said all is answered, and what follows a message and is not HTTP is refused after it`()
        async throws
    {
        let vault = try await TestVault()
        try await vault.serving { port in
            let message = Self.post(try await sealed(vault))
            let last = Self.answers(in: try await Self.talk(port, [message], answers: 2, saysAll: true))
            #expect(last.map(\.status) == ["HTTP/1.1 200 OK"])
            let bent = Self.answers(
                in: try await Self.talk(port, [message + Array("what is this\r\n\r\n".utf8)], answers: 2))
            #expect(bent.map(\.status) == ["HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request"])
        }
    }

    @Test func `a message that breaks off is counted, and changes nothing`() async throws {
        let vault = try await TestVault()
        try await vault.serving { port in
            let message = Self.post(try await sealed(vault))
            _ = try await Self.talk(port, [Array(message.dropLast(100))], answers: 0)
            let line = #"coffer_vault_messages_refused_total{reason="cut"} 1"#
            while !vault.service.metricsPage().contains(line) { await Task.yield() }
            let answers = Self.answers(in: try await Self.talk(port, [message], answers: 1))
            #expect(answers.map(\.status) == ["HTTP/1.1 200 OK"])
        }
    }

    @Test func `who takes no answer is asked for nothing more`() async throws {
        let line = try await Line(TestVault())
        try await line.send(Self.parts(of: try await sealed(line.vault)) + Self.parts(ofGet: "/health"))
        try await line.untilAnswered(1)
        #expect(try await line.passedOn() == nil, "the answer is not in the client's hands yet")
        try await line.take()
        #expect(try await line.passedOn() == Self.parts(ofGet: "/health").first)
    }

    @Test func `a stop waits for the message that is half there`() async throws {
        let line = try await Line(TestVault())
        let parts = Self.parts(of: try await sealed(line.vault))
        try await line.send(parts + parts.prefix(2))
        try await line.stop()
        try await line.untilAnswered(1)
        try await line.take()
        #expect(!line.hasStopped)
        try await line.send([parts[2]])
        try await line.untilAnswered(2)
        #expect(!line.hasStopped)
        try await line.take()
        #expect(line.hasStopped)
    }

    private static func parts(of message: [UInt8]) -> [HTTPRequestPart] {
        [
            .head(
                HTTPRequest(
                    method: .post, scheme: "http", authority: "vault", path: "/v1/message",
                    headerFields: [.contentLength: "\(message.count)"])), .body(ByteBuffer(bytes: message)), .end(nil),
        ]
    }

    private static func parts(ofGet path: String) -> [HTTPRequestPart] {
        [.head(HTTPRequest(method: .get, scheme: "http", authority: "vault", path: path)), .end(nil)]
    }

    @Test func `only what every client sends takes the short way`() {
        let length = "\(SealedRequest.byteCount)"
        func isPlain(_ path: String, _ fields: HTTPFields, method: HTTPRequest.Method = .post) -> Bool {
            MessageHandler.isPlainMessage(
                HTTPRequest(method: method, scheme: "http", authority: "vault", path: path, headerFields: fields))
        }
        #expect(isPlain("/v1/message", [.contentLength: length, .userAgent: "x", .accept: "*/*"]))
        #expect(!isPlain("/v1/message", [.contentLength: length], method: .put))
        for path in ["/v1/message?", "/v1/message/", "/v1/key", "//v1/message"] {
            #expect(!isPlain(path, [.contentLength: length]), "\(path)")
        }
        let others: [HTTPFields] = [
            [:], [.contentLength: "\(SealedRequest.byteCount + 1)"], [.contentLength: "+\(length)"],
            [.contentLength: length, .expect: "100-continue"], [.contentLength: length, .connection: "close"],
            [.contentLength: length, .transferEncoding: "chunked"], [.contentLength: length, .upgrade: "h2c"],
        ]
        for fields in others { #expect(!isPlain("/v1/message", fields), "\(fields)") }
    }

    @Test func `an answer's date is as RFC 9110 writes it`() {
        #expect(HTTPDate.text(of: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(of: 951_782_400) == "Tue, 29 Feb 2000 00:00:00 GMT")
    }
}

/// A connection whose client takes an answer when the test says so.
private final class Line: Sendable {
    let vault: TestVault
    private let channel: NIOAsyncTestingChannel
    private let client = Client()
    private let follower = Follower()

    init(_ vault: TestVault) async throws {
        self.vault = vault
        let (client, follower, service) = (client, follower, vault.service)
        channel = try await NIOAsyncTestingChannel { channel in
            try channel.pipeline.syncOperations.addHandlers([client, MessageHandler(service: service), follower])
        }
        try await channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1))
    }

    var hasStopped: Bool { follower.hasStopped.withLock { $0 } }

    func send(_ parts: some Sequence<HTTPRequestPart>) async throws {
        for part in parts { try await channel.writeInbound(part) }
    }

    func stop() async throws {
        let channel = channel
        try await channel.testingEventLoop.executeInContext {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func untilAnswered(_ count: Int) async throws {
        while client.answered.withLock({ $0 }) < count {
            await channel.testingEventLoop.run()
            await Task.yield()
        }
    }

    /// The answer that was written last.
    func take() async throws {
        try await channel.testingEventLoop.executeInContext { [client] in
            client.waiting.withLock { $0.popLast() }?.succeed()
        }
    }

    func passedOn() async throws -> HTTPRequestPart? { try await channel.readInbound() }

    /// What stands nearest to the client.
    private final class Client: ChannelOutboundHandler, Sendable {
        typealias OutboundIn = HTTPResponsePart

        let answered = Mutex(0)
        let waiting = Mutex<[EventLoopPromise<Void>]>([])

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
            if let promise { waiting.withLock { $0.append(promise) } }
            answered.withLock { $0 += 1 }
        }
    }

    /// What stands where Hummingbird does.
    private final class Follower: ChannelInboundHandler, Sendable {
        typealias InboundIn = HTTPRequestPart

        let hasStopped = Mutex(false)

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is ChannelShouldQuiesceEvent { hasStopped.withLock { $0 = true } }
            context.fireUserInboundEventTriggered(event)
        }
    }
}
