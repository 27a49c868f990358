import ByteCoding
import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import Primitives
import RecoveryProtocol

/// The vault over HTTP/1.1: `GET /v1/key`, `POST /v1/message`, `GET /health`, `GET /ready`.
package struct VaultHTTP: Sendable {
    /// Bounds on what strangers may make the vault hold.
    package struct Bounds: Sendable {
        package var connectionsMax = 12_000
        /// Of one address. Nil: 256, and no limit for this machine's own, where a proxy stands.
        package var connectionsPerAddressMax: Int?
        package var headerBytesMax = 8 * 1024
        package var headerCountMax = 64
        /// Between two requests.
        package var idleSeconds: Int64 = 30
        /// From a request's first line to its end, and from the connection to its first request's first line.
        package var requestSeconds: Int64 = 10
        /// From a request's end until the client has taken the answer.
        package var answerSeconds: Int64 = 60

        package init() {}

        func connectionsMax(from place: String) -> Int? {
            if let connectionsPerAddressMax { return connectionsPerAddressMax }
            return place.isEmpty || place == "::1" || place.hasPrefix("127.") ? nil : 256
        }
    }

    private let service: VaultService
    private let bounds: Bounds
    private let certificate: ServerCertificate?
    private let logger: Logger
    private let connections: Connections

    /// With a certificate it speaks TLS 1.3; without one TLS is the business of what stands in front of it. The messages
    /// are sealed either way.
    package init(
        service: VaultService, bounds: Bounds = Bounds(), certificate: ServerCertificate? = nil, logger: Logger
    ) {
        self.certificate = certificate
        self.service = service
        self.bounds = bounds
        self.logger = logger
        connections = Connections(bounds: bounds, metrics: service.metrics)
    }

    /// `onReady` is told the port that was bound. The application is a service that runs until graceful shutdown.
    package func application(
        host: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void
    ) throws -> some ApplicationProtocol {
        // A wave of connections waits in the system's queue rather than be sent away to try again.
        var configuration = ApplicationConfiguration(address: .hostname(host, port: port), backlog: 4096)
        configuration.serverName = nil
        let channel = bounds.channel(connections) { [service] in [MessageHandler(service: service)] }
        let plain = HTTPServerBuilder { responder in
            EventLoopChannel(base: HTTP1Channel(responder: responder, configuration: channel))
        }
        return Application(
            router: router(), server: try certificate?.server(plain) ?? plain, configuration: configuration,
            onServerRunning: { channel in
                await Self.acceptMany(channel)
                await onReady(channel.localAddress?.port ?? port)
            }, logger: logger)
    }

    /// How many connections are taken in one turn of the event loop. A turn of a vault that has more to do than it can takes as
    /// long as all messages in hand, so with NIO's four, who comes anew waits for seconds while those who are connected
    /// are served again and again.
    static let acceptedInTurn: UInt = 256

    static func acceptMany(_ channel: any Channel) async {
        // It fails on a channel that is closed already, which accepts nobody.
        try? await channel.setOption(.maxMessagesPerRead, value: acceptedInTurn).get()
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("v1/key") { [service] _, _ in
            try await Self.binary(service.keyAnnouncement())
        }
        router.post("v1/message") { [service] request, _ in
            try await Self.message(request, service)
        }
        Self.addStanding(to: router, of: service)
        return router
    }

    /// `/health`: the process answers. `/ready`: the store reads, the anchor answers, and the vault was not told to stop.
    static func addStanding(to router: Router<BasicRequestContext>, of service: VaultService) {
        router.get("health") { _, _ in "ok\n" }
        router.get("ready") { [service] _, _ in
            guard let reason = service.notReady() else { return Response.text("ready\n") }
            return Response.text("not ready: \(reason)\n", status: .serviceUnavailable)
        }
    }

    /// Anything that does not get as far as a sealed reply is a plain HTTP error, which no client believes.
    private static func message(_ request: Request, _ service: VaultService) async throws -> Response {
        let requestID = newRequestID()
        let bytes: [UInt8]
        do {
            guard request.headers[.contentLength].flatMap({ Int($0) }) ?? 0 <= SealedRequest.byteCount else {
                throw HTTPError(.contentTooLarge)
            }
            bytes = Array(try await request.body.collect(upTo: SealedRequest.byteCount).readableBytesView)
        } catch {
            let isTooLong = (error as? any HTTPResponseError)?.status == .contentTooLarge
            service.metrics.count(Metrics.messagesRefused, [isTooLong ? "too_long" : "cut"])
            throw error
        }
        do throws(MessageRefusal) {
            return binary(try await service.handle(bytes, requestID: requestID), requestID)
        } catch { throw HTTPError(error.status) }
    }

    /// Made here, of chance alone: a number that the client chose could be a name.
    static func newRequestID() -> String {
        var generator = SystemRandomNumberGenerator()
        return Hex.encode(generator.bytes(8))
    }

    private static let requestIDName = HTTPField.Name("x-request-id")

    private static func binary(_ bytes: [UInt8], _ requestID: String? = nil) -> Response {
        Response(
            status: .ok, headers: binaryFields(requestID), body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func binaryFields(_ requestID: String?) -> HTTPFields {
        var fields = binaryFields
        if let requestID, let name = requestIDName { fields.append(HTTPField(name: name, value: requestID)) }
        return fields
    }

    private static let binaryFields: HTTPFields = [
        .contentType: "application/octet-stream", .cacheControl: "no-store",
    ]
}

extension MessageRefusal {
    var status: HTTPResponse.Status {
        switch self {
        case .malformed: .badRequest
        case .unknownKey: .gone
        case .overloaded: .serviceUnavailable
        }
    }
}

extension VaultHTTP.Bounds {
    /// `handlers` stand between the guard of a connection and Hummingbird.
    func channel(
        _ connections: Connections, handlers: @escaping @Sendable () -> [any RemovableChannelHandler] = { [] }
    ) -> HTTP1Channel.Configuration {
        var channel = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionGuard(bounds: self, connections: connections)] + handlers())
        channel.httpDecoder = .init(
            maxHeaderFieldSize: headerBytesMax, maxHeaderListSize: headerBytesMax, maxHeaderFieldCount: headerCountMax)
        return channel
    }
}

extension Response {
    static func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
