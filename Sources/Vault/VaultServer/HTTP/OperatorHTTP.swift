import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore

/// What is for the operator alone, at a listener of its own: `GET /metrics`, `GET /health`, and of a vault `GET /ready`.
package struct OperatorHTTP: Sendable {
    private let page: @Sendable () -> String
    private let addStanding: @Sendable (Router<BasicRequestContext>) -> Void
    private let logger: Logger

    package init(service: VaultService, logger: Logger) {
        page = { service.metricsPage() }
        addStanding = { VaultHTTP.addStanding(to: $0, of: service) }
        self.logger = logger
    }

    package init(witness: WitnessService, logger: Logger) {
        page = { witness.metricsPage() }
        addStanding = { router in router.get("health") { _, _ in "ok\n" } }
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
        router.get("metrics") { [page] _, _ in
            var response = Response.text(page())
            response.headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
            return response
        }
        addStanding(router)
        return router
    }
}
