import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import VaultCore

/// A witness over HTTP/1.1: `POST /v1/witness`, `GET /health`. Questions and answers are signed; nothing is secret.
package struct WitnessHTTP: Sendable {
    private let service: WitnessService
    private let logger: Logger

    package init(service: WitnessService, logger: Logger) {
        self.service = service
        self.logger = logger
    }

    /// `onReady` is told the port that was bound. The application is a service that runs until graceful shutdown.
    package func application(
        host: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        var channel = HTTP1Channel.Configuration(idleTimeout: .seconds(600))
        channel.httpDecoder = .init(maxHeaderFieldSize: 4096, maxHeaderListSize: 8192, maxHeaderFieldCount: 64)
        var configuration = ApplicationConfiguration(
            address: .hostname(host, port: port), availableConnectionsDelegate: MaximumAvailableConnections(256))
        configuration.serverName = nil
        return Application(
            router: router(), server: .http1(configuration: channel), configuration: configuration,
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) }, logger: logger)
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.post("v1/witness") { [service] request, _ in
            let body = try await request.body.collect(upTo: WitnessRequest.bytesMax)
            do throws(WitnessRefusal) {
                return Response(
                    status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
                    body: ResponseBody(byteBuffer: ByteBuffer(bytes: try service.answer(Array(body.readableBytesView))))
                )
            } catch {
                switch error {
                case .malformed: throw HTTPError(.badRequest)
                case .unknownVault: throw HTTPError(.notFound)
                case .unavailable: throw HTTPError(.serviceUnavailable)
                }
            }
        }
        router.get("health") { _, _ in "ok\n" }
        return router
    }
}
