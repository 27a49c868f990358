import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import VaultServer

/// One connection after another, by the event loop's own clock, which stands still until the test moves it.
@Suite struct ConnectionTests {
    private let metrics = VaultMetrics()

    private func bounds(_ change: (inout VaultHTTP.Bounds) -> Void = { _ in }) -> VaultHTTP.Bounds {
        var bounds = VaultHTTP.Bounds()
        bounds.idleSeconds = 30
        bounds.requestSeconds = 10
        bounds.answerSeconds = 60
        change(&bounds)
        return bounds
    }

    private func open(
        _ bounds: VaultHTTP.Bounds, _ connections: Connections, from address: String = "192.0.2.1"
    ) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        channel.remoteAddress = try SocketAddress(ipAddress: address, port: 1)
        try channel.pipeline.syncOperations.addHandler(ConnectionGuard(bounds: bounds, connections: connections))
        channel.connect(to: try SocketAddress(ipAddress: address, port: 1), promise: nil)
        return channel
    }

    private func pass(_ seconds: Int64, _ channels: EmbeddedChannel...) {
        for channel in channels { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }
    }

    private static var head: HTTPRequestPart {
        .head(HTTPRequest(method: .post, scheme: "http", authority: "vault", path: "/v1/message"))
    }
    private static var answer: HTTPResponsePart { .head(HTTPResponse(status: .ok)) }

    private func closed(_ reason: String) -> Bool {
        metrics.page().contains(#"coffer_vault_connections_closed_total{reason="\#(reason)"} 1"#)
    }

    @Test func `who says nothing after connecting is closed when a request is due`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        let channel = try open(bounds(), connections)
        pass(9, channel)
        #expect(connections.count == 1)
        pass(1, channel)
        #expect(connections.count == 0)
        #expect(closed("slow_request"))
    }

    @Test func `a body that comes a byte at a time keeps nothing open`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        let channel = try open(bounds(), connections)
        pass(9, channel)
        try channel.writeInbound(Self.head)
        for _ in 0..<9 {
            pass(1, channel)
            try channel.writeInbound(HTTPRequestPart.body(ByteBuffer(bytes: [1])))
        }
        #expect(connections.count == 1)
        pass(1, channel)
        #expect(connections.count == 0)
        #expect(closed("slow_request"))
    }

    @Test func `a connection that is used stays, and is closed when it idles`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        let channel = try open(bounds(), connections)
        for _ in 0..<5 {
            try channel.writeInbound(Self.head)
            try channel.writeInbound(HTTPRequestPart.end(nil))
            pass(50, channel)
            try channel.writeOutbound(Self.answer)
            try channel.writeOutbound(HTTPResponsePart.end(nil))
            pass(29, channel)
        }
        #expect(connections.count == 1)
        pass(1, channel)
        #expect(connections.count == 0)
        #expect(closed("idle"))
    }

    @Test func `a request that begins in a long idle time is due as any other`() throws {
        let bounds = bounds { $0.idleSeconds = 3600 }
        let connections = Connections(bounds: bounds, metrics: metrics)
        let channel = try open(bounds, connections)
        try channel.writeInbound(Self.head)
        try channel.writeInbound(HTTPRequestPart.end(nil))
        try channel.writeOutbound(Self.answer)
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        // The timer of the first request fires, and waits for the idle time from then on.
        pass(600, channel)
        try channel.writeInbound(Self.head)
        pass(9, channel)
        #expect(connections.count == 1)
        pass(1, channel)
        #expect(connections.count == 0)
        #expect(closed("slow_request"))
    }

    @Test func `a client that does not take its answer is closed`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        let channel = try open(bounds(), connections)
        try channel.writeInbound(Self.head)
        try channel.writeInbound(HTTPRequestPart.end(nil))
        // Written, not flushed: the client's window is shut.
        channel.write(Self.answer, promise: nil)
        channel.write(HTTPResponsePart.end(nil), promise: nil)
        pass(59, channel)
        #expect(connections.count == 1)
        pass(1, channel)
        #expect(connections.count == 0)
        #expect(closed("slow_reader"))
    }

    @Test func `who asks on and on without an answer is closed, and what he sent goes no further`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        let channel = try open(bounds(), connections)
        for _ in 0..<16 {
            try channel.writeInbound(Self.head)
            try channel.writeInbound(HTTPRequestPart.end(nil))
        }
        #expect(channel.isActive)
        var passed = 0
        while try channel.readInbound(as: HTTPRequestPart.self) != nil { passed += 1 }
        #expect(passed == 32)
        try channel.writeInbound(Self.head)
        _ = try? channel.writeInbound(HTTPRequestPart.end(nil))
        #expect(!channel.isActive && connections.count == 0)
        #expect(try channel.readInbound(as: HTTPRequestPart.self) == nil)
        #expect(closed("pipelined"))
    }

    @Test func `when all places are taken, the one that has waited longest goes, and nobody who is being answered`()
        throws
    {
        let bounds = bounds { $0.connectionsMax = 3 }
        let connections = Connections(bounds: bounds, metrics: metrics)
        let busy = try open(bounds, connections)
        try busy.writeInbound(Self.head)
        let first = try open(bounds, connections)
        let second = try open(bounds, connections)
        // The first one was used since, so the second has waited longer.
        try first.writeInbound(Self.head)
        try first.writeInbound(HTTPRequestPart.end(nil))
        try first.writeOutbound(HTTPResponsePart.end(nil))
        let third = try open(bounds, connections)
        #expect(busy.isActive && first.isActive && third.isActive)
        #expect(!second.isActive)
        #expect(closed("crowded_out"))
        try first.writeInbound(Self.head)
        try third.writeInbound(Self.head)
        let fourth = try open(bounds, connections)
        #expect(!fourth.isActive)
        #expect(closed("full"))
        #expect(connections.count == 3)
    }

    @Test func `one address has its share of the places, and this machine's own has no limit`() throws {
        let connections = Connections(bounds: bounds(), metrics: metrics)
        var channels: [EmbeddedChannel] = []
        for _ in 0..<256 { channels.append(try open(bounds(), connections, from: "2001:db8::1")) }
        // One household or one server has all addresses of a /64.
        #expect(!(try open(bounds(), connections, from: "2001:db8::2").isActive))
        #expect(try open(bounds(), connections, from: "2001:db8:0:1::1").isActive)
        #expect(closed("per_address"))
        for _ in 0..<300 { channels.append(try open(bounds(), connections, from: "127.0.0.1")) }
        #expect(connections.count == 557)
        try #require(channels.first).close(promise: nil)
        #expect(try open(bounds(), connections, from: "2001:db8::3").isActive)
    }

    @Test func `what waits in line does not grow with the requests`() throws {
        let connections = Connections(bounds: bounds { $0.connectionsMax = 2 }, metrics: metrics)
        let channel = try open(bounds(), connections)
        for _ in 0..<10_000 {
            try channel.writeInbound(Self.head)
            try channel.writeInbound(HTTPRequestPart.end(nil))
            try channel.writeOutbound(HTTPResponsePart.end(nil))
            while try channel.readInbound(as: HTTPRequestPart.self) != nil {}
            while try channel.readOutbound(as: HTTPResponsePart.self) != nil {}
        }
        #expect(connections.lineCount < 3000)
        #expect(channel.isActive)
    }

    @Test func `an address counts as its owner's place`() throws {
        for (address, place) in [
            ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", Connections.place(try SocketAddress(ipAddress: "2001:db8:1:2::", port: 2))),
        ] {
            #expect(Connections.place(try SocketAddress(ipAddress: address, port: 1)) == place)
        }
    }
}
