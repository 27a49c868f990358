import ArgumentParser
import FleetFiles
import Foundation
import Logging
import NIOCore
import RecoveryProtocol
import ServiceLifecycle
import UnixSignals
import VaultServer

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves a vault until it is told to stop.",
        discussion: """
            SIGTERM and SIGINT stop it: it is no longer ready, takes no new connections, answers what is in work, and \
            ends. SIGHUP has it read its TLS certificate again.
            """)

    @Argument(help: "The vault's folder.")
    var folder: String

    @Option(help: "host:port. Port 0 takes a free one; the folder's file `address` says which.")
    var listen = "127.0.0.1:8440"

    @Option(help: "Sets this fleet file first, as `fleet set` does.")
    var fleet: String?

    @Option(
        help: ArgumentHelp(
            "host:port of a listener for the operator alone: /metrics for Prometheus, /health, /ready.",
            discussion: "Not an address that the public reaches. Port 0 takes a free one, which a line tells.",
            valueName: "host:port"))
    var metrics: String?

    @Option(help: "Seconds between no longer being ready and taking no new connections, for a balancer to notice.")
    var drainSeconds: UInt32 = 0

    @OptionGroup var tls: TLSOptions
    @OptionGroup var log: LogOptions
    @OptionGroup var limits: LimitOptions

    func run() async throws {
        // Until `Rereading` takes it: the system's own answer, while the store is still proved, is to end the process.
        signal(SIGHUP, SIG_IGN)
        ProcessStart.note()
        Processors.makeOneLoopEach()
        let address = try ListenAddress.parse(listen)
        let operatorAddress = try metrics.map { try ListenAddress.parse($0) }
        let bounds = try limits.bounds()
        let certificate = try tls.certificate()
        try SelfTest.runShort()
        let folder = VaultFolder(path: folder)
        let numbers = VaultMetrics(version: CofferVault.configuration.version)
        let records = try folder.open(counting: numbers)
        if let fleet { try FleetCommands.set(try FleetCommands.read(fleet), in: records) }
        let logger = log.logger()
        logger.log(.starting, ["version": "\(CofferVault.configuration.version)"])
        let service: VaultService
        do throws(VaultStartError) {
            service = try await VaultService(
                records: records, clock: SystemClock.now, logger: logger, metrics: numbers)
        } catch { throw CommandFailure(error) }
        await service.probe()
        // Stopped from the last to the first: the operator's page is there until the end.
        var services: [any Service] = []
        if let (host, port) = operatorAddress {
            services.append(
                OperatorHTTP(service: service, logger: log.libraryLogger()).application(host: host, port: port) {
                    Output.line("metrics on http://\(Self.bracketed(host)):\($0)/metrics")
                })
        }
        services += [Probing(service: service), TimedCommands(service: service)]
        services.append(Rereading(certificate: certificate, options: tls, metrics: numbers, logger: logger))
        services.append(try publicListener(service, address, bounds, certificate, folder))
        services.append(Draining(readiness: service.readiness, seconds: drainSeconds, logger: logger))
        defer { try? FileManager.default.removeItem(atPath: folder.address) }
        try await run(services)
        logger.log(.stopped)
    }

    private func publicListener(
        _ service: VaultService, _ address: (host: String, port: Int), _ bounds: VaultHTTP.Bounds,
        _ certificate: ServerCertificate?, _ folder: VaultFolder
    ) throws -> any Service {
        let http = VaultHTTP(
            service: service, bounds: bounds, certificate: certificate, logger: log.libraryLogger())
        return try http.application(host: address.host, port: address.port) { port in
            let text = "\(Self.bracketed(address.host)):\(port)"
            do throws(CommandFailure) { try PublicFile.write("\(text)\n", to: folder.address) } catch {
                Output.error("coffer-vault: \(error.text)")
            }
            Output.line("ready on \(certificate == nil ? "http" : "https")://\(text), vault \(service.vaultID)")
        }
    }

    private func run(_ services: [any Service]) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: log.libraryLogger())
        // A request that still arrives, and one that is being answered, have this long.
        configuration.maximumGracefulShutdownDuration = .seconds(Int64(drainSeconds) + limits.requestSeconds + 5)
        do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            throw CommandFailure(
                .unavailable,
                error.errnoCode == EADDRINUSE
                    ? "\(places) is taken: another program, perhaps this vault, listens there. Choose another port."
                    : "The vault cannot serve on \(places): \(reason).")
        } catch is SocketAddressError.UnknownHost {
            throw CommandFailure(.unavailable, "The vault cannot serve on \(places): no such host is known here.")
        } catch {
            throw CommandFailure(.unavailable, "The vault stopped: \(error)")
        }
    }

    private var places: String { metrics.map { "\(listen) or \($0)" } ?? listen }

    /// As it stands in a URL: an IPv6 address has colons of its own (RFC 3986 section 3.2.2).
    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}
