import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import VaultCore

/// A witness over HTTP/1.1: `POST /v1/witness`, `GET /health`. Questions and answers are signed; nothing is secret.
package struct WitnessHTTP: Sendable {
    private let service: WitnessService
    private let bounds: VaultHTTP.Bounds
    private let logger: Logger
    private let connections: Connections

    /// Strangers reach a witness as they reach a vault, and the same bounds hold them.
    package init(service: WitnessService, bounds: VaultHTTP.Bounds = VaultHTTP.Bounds(), logger: Logger) {
        self.service = service
        self.bounds = bounds
        self.logger = logger
        connections = Connections(
            bounds: bounds, metrics: service.metrics, open: Metrics.witnessConnections,
            closed: Metrics.witnessConnectionsClosed)
    }

    /// `onReady` is told the port that was bound. The application is a service that runs until graceful shutdown.
    package func application(
        host: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        var configuration = ApplicationConfiguration(address: .hostname(host, port: port), backlog: 4096)
        configuration.serverName = nil
        return Application(
            router: router(), server: .http1(configuration: bounds.channel(connections)), configuration: configuration,
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
