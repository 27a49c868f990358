import ArgumentParser
import Foundation
import Logging
import Primitives
import SecurityModules
import ServiceLifecycle
import UnixSignals
import VaultCore
import VaultServer

struct WitnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "witness",
        abstract: "Remembers the newest state of vaults on other machines, until it is told to stop.",
        discussion: "Run it on a machine, and under an operator, other than the vaults' own.")

    @Argument(help: "The witness's folder; made at the first start, with a key.")
    var folder: String

    @Option(help: "The `vault.pub` of a vault to watch. May be given several times; what is watched stays watched.")
    var watch: [String] = []

    @Option(help: "host:port. Port 0 takes a free one; the first line that is printed says which.")
    var listen = "127.0.0.1:8450"

    @Option(
        help: ArgumentHelp(
            "host:port of a listener for the operator alone: /metrics for Prometheus, /health.",
            discussion: "Not an address that the public reaches. Port 0 takes a free one, which a line tells.",
            valueName: "host:port"))
    var metrics: String?

    @OptionGroup var limits: LimitOptions

    func run() async throws {
        ProcessStart.note()
        let bounds = try limits.bounds()
        let operatorAddress = try metrics.map { try ListenAddress.parse($0) }
        let (host, port) = try ListenAddress.parse(listen)
        let service = try service()
        var logger = Logger(label: "coffer-vault-witness") { label in StreamLogHandler.standardError(label: label) }
        logger.logLevel = .warning
        let http = WitnessHTTP(service: service, bounds: bounds, logger: logger)
        let application = http.application(host: host, port: port) { port in
            Output.line(
                "ready on http://\(host):\(port), witness \(service.verifyingKey), \(service.vaultCount) vaults")
        }
        service.show(version: CofferVault.configuration.version)
        var services: [any Service] = []
        if let (host, port) = operatorAddress {
            services.append(
                OperatorHTTP(witness: service, logger: logger).application(host: host, port: port) {
                    Output.line("metrics on http://\(host):\($0)/metrics")
                })
        }
        services.append(application)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(limits.requestSeconds)
        do { try await ServiceGroup(configuration: configuration).run() } catch {
            throw CommandFailure(.unavailable, "The witness stopped: \(error)")
        }
    }

    private func service() throws(CommandFailure) -> WitnessService {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw CommandFailure(.cannotCreate, "The folder \(folder) cannot be made.") }
        var identities: [VerifyingKey] = []
        for path in watch { identities.append(try VaultPublicFile(path: path).identity) }
        var generator = SystemRandomNumberGenerator()
        do throws(AnchorError) {
            let memory = try WitnessFolder(path: folder)
            let service = try WitnessService(key: try memory.key(using: &generator), memory: memory)
            for identity in identities { try service.watch(identity) }
            return service
        } catch {
            switch error {
            case .unavailable(let text): throw CommandFailure(.unavailable, "The witness does not start: \(text).")
            case .damaged(let text): throw CommandFailure(.badFile, "The witness does not start: \(text).")
            case .moved: throw CommandFailure(.unavailable, "The witness does not start.")
            }
        }
    }
}
