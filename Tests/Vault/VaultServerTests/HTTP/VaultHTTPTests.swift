import AsyncHTTPClient
import ByteCoding
import Dispatch
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOPosix
import Primitives
import RecordStores
import RecoveryProtocol
import Synchronization
import Testing

@testable import VaultServer

@Suite struct VaultHTTPTests {
    private func serving(_ vault: TestVault, _ body: (String) async throws -> Void) async throws {
        try await vault.serving { try await body("http://127.0.0.1:\($0)") }
    }

    private static func post(_ bytes: [UInt8], to base: String, path: String = "/v1/message") async throws
        -> (status: Int, body: [UInt8])
    {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        let body = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), Array(body.readableBytesView))
    }

    @Test func `a hundred concurrent guesses over HTTP against a limit of ten are answered ten times`() async throws {
        let folder = try TemporaryFolder()
        let vault = try await TestVault(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true))
        try await serving(vault) { base in
            let client = try TestClient(vault) { try await Self.post($0, to: base).body }
            let registration = try await client.register(password: "a")
            let serial = try await client.status().serial
            let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        let reply = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                        if case .evaluated = reply { return true }
                        guard case .refused(.destructionPending) = reply else {
                            throw TestClient.Unexpected(reply: reply)
                        }
                        return false
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(answered == 10)
            #expect(try await client.status().attemptsLeft == 0)
        }
    }

    /// How many connections were accepted in each turn.
    private final class Accepted: ChannelInboundHandler, Sendable {
        typealias InboundIn = any Channel
        private let expected: Int
        private let turns = Mutex([0])
        let all: EventLoopPromise<[Int]>

        init(expecting expected: Int, _ all: EventLoopPromise<[Int]>) { (self.expected, self.all) = (expected, all) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            turns.withLock { $0[$0.count - 1] += 1 }
            context.fireChannelRead(data)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            let turns = turns.withLock { turns in
                defer { turns.append(0) }
                return turns
            }
            if turns.reduce(0, +) == expected { all.succeed(turns) }
            context.fireChannelReadComplete()
        }
    }

    @Test func `all who connected while the event loop was at work are taken in one turn`() async throws {
        let (loops, clients) = (MultiThreadedEventLoopGroup(numberOfThreads: 1), 100)
        let accepted = Accepted(expecting: clients, loops.next().makePromise())
        let server = try await ServerBootstrap(group: loops)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(accepted) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        await VaultHTTP.acceptMany(server)
        let rest = DispatchSemaphore(value: 0)
        loops.next().execute { rest.wait() }
        let address = try #require(server.localAddress)
        var connected: [any Channel] = []
        for _ in 0..<clients {
            connected.append(
                try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(to: address).get())
        }
        rest.signal()
        let turns = try await accepted.all.futureResult.get()
        #expect(turns.contains(clients), "\(turns)")
        for client in connected { try? await client.close() }
        try await loops.shutdownGracefully()
    }

    @Test func `what is not sealed is a plain error, within limits, and charges nothing`() async throws {
        let vault = try await TestVault()
        try await serving(vault) { base in
            let client = try TestClient(vault) { try await Self.post($0, to: base).body }
            let registration = try await client.register(password: "a")
            let before = try await client.status()
            var generator = SystemRandomNumberGenerator()
            let sealed = try await client.seal(.evaluate(TestClient.guess(registration, serial: before.serial)))
                .sealed.encoded()
            for (bytes, expected) in [
                ([], 400), ([1, 2, 3], 400), (generator.bytes(SealedRequest.byteCount), 400),
                (Array(sealed.dropLast()), 400), (sealed + [0], 413), (generator.bytes(1 << 20), 413),
            ] {
                #expect(try await Self.post(bytes, to: base).status == expected)
            }
            // Version, vault id, key id, encapsulated key, ciphertext, tag: one bit of each.
            for position in [0, 1, 17, 30, 1200, sealed.count - 1] {
                var bent = sealed
                bent[position] ^= 1
                #expect([400, 410].contains(try await Self.post(bent, to: base).status), "byte \(position)")
            }
            #expect(try await Self.post(sealed, to: base, path: "/v1/other").status == 404)
            #expect(try await client.status().attemptsLeft == before.attemptsLeft)
        }
    }

    @Test func `headers without end are refused`() async throws {
        let vault = try await TestVault()
        try await serving(vault) { base in
            var request = HTTPClientRequest(url: base + "/v1/key")
            for number in 0..<100 {
                request.headers.add(name: "x-\(number)", value: String(repeating: "a", count: 500))
            }
            let status = try? await HTTPClient.shared.execute(request, timeout: .seconds(60)).status.code
            #expect(status == nil || (400..<500).contains(status ?? 0))
            let plain = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: base + "/health"), timeout: .seconds(60))
            #expect(plain.status.code == 200)
        }
    }
}
