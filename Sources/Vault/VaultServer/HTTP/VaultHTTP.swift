import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import RecoveryProtocol

/// The vault over HTTP/1.1: `GET /v1/key`, `POST /v1/message`, `GET /health`. TLS is the business of what stands in
/// front of it; the messages are sealed either way.
package struct VaultHTTP: Sendable {
    /// Bounds on what strangers may make the vault hold.
    package struct Bounds: Sendable {
        package var connectionsMax = 1024
        package var headerBytesMax = 8 * 1024
        package var idleSeconds: Int64 = 30

        package init() {}
    }

    private let service: VaultService
    private let bounds: Bounds
    private let logger: Logger

    package init(service: VaultService, bounds: Bounds = Bounds(), logger: Logger) {
        self.service = service
        self.bounds = bounds
        self.logger = logger
    }

    /// `onReady` is told the port that was bound. The application is a service that runs until graceful shutdown.
    package func application(
        host: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        var channel = HTTP1Channel.Configuration(idleTimeout: .seconds(bounds.idleSeconds))
        channel.httpDecoder = .init(
            maxHeaderFieldSize: bounds.headerBytesMax, maxHeaderListSize: bounds.headerBytesMax,
            maxHeaderFieldCount: 64)
        var configuration = ApplicationConfiguration(
            address: .hostname(host, port: port),
            availableConnectionsDelegate: MaximumAvailableConnections(bounds.connectionsMax))
        configuration.serverName = nil
        return Application(
            router: router(), server: .http1(configuration: channel), configuration: configuration,
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) }, logger: logger)
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("v1/key") { [service] _, _ in
            try Self.binary(service.keyAnnouncement())
        }
        router.post("v1/message") { [service] request, _ in
            try await Self.message(request, service)
        }
        router.get("health") { [service] _, _ in
            _ = try service.keyAnnouncement()
            return "ok\n"
        }
        return router
    }

    /// Anything that does not get as far as a sealed reply is a plain HTTP error, which no client believes.
    private static func message(_ request: Request, _ service: VaultService) async throws -> Response {
        guard request.headers[.contentLength].flatMap({ Int($0) }) ?? 0 <= SealedRequest.byteCount else {
            throw HTTPError(.contentTooLarge)
        }
        let body = try await request.body.collect(upTo: SealedRequest.byteCount)
        do throws(MessageRefusal) {
            return binary(try await service.handle(Array(body.readableBytesView)))
        } catch {
            switch error {
            case .malformed: throw HTTPError(.badRequest)
            case .unknownKey: throw HTTPError(.gone)
            case .overloaded: throw HTTPError(.serviceUnavailable)
            }
        }
    }

    private static func binary(_ bytes: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
