import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore

/// What is for the operator alone, at a listener of its own: `GET /metrics`, `GET /health`, `GET /ready`.
package struct OperatorHTTP: Sendable {
    private let service: VaultService
    private let logger: Logger

    package init(service: VaultService, logger: Logger) {
        self.service = service
        self.logger = logger
    }

    package func application(
        host: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        var bounds = VaultHTTP.Bounds()
        bounds.connectionsMax = 64
        // Counted for themselves: these are not the public's connections.
        let connections = Connections(bounds: bounds, metrics: VaultMetrics())
        var configuration = ApplicationConfiguration(address: .hostname(host, port: port))
        configuration.serverName = nil
        return Application(
            router: router(), server: .http1(configuration: bounds.channel(connections)), configuration: configuration,
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) }, logger: logger)
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("metrics") { [service] _, _ in
            var response = Response.text(service.metricsPage())
            response.headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
            return response
        }
        VaultHTTP.addStanding(to: router, of: service)
        return router
    }
}
