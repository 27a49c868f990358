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
    static let configuration = CommandConfiguration(abstract: "Serves a vault until it is told to stop.")

    @Argument(help: "The vault's folder.")
    var folder: String

    @Option(help: "host:port. Port 0 takes a free one; the folder's file `address` says which.")
    var listen = "127.0.0.1:8440"

    @Option(help: "Sets this fleet file first, as `fleet set` does.")
    var fleet: String?

    func run() async throws {
        let (host, port) = try ListenAddress.parse(listen)
        try SelfTest.runShort()
        let folder = VaultFolder(path: folder)
        let records = try folder.open()
        if let fleet { try FleetCommands.set(try FleetCommands.read(fleet), in: records) }
        var logger = Logger(label: "coffer-vault") { label in StreamLogHandler.standardError(label: label) }
        logger.logLevel = .warning
        let service: VaultService
        do throws(VaultStartError) {
            service = try await VaultService(records: records, clock: SystemClock.now, logger: logger)
        } catch { throw CommandFailure(error) }
        let application = VaultHTTP(service: service, logger: logger).application(host: host, port: port) { port in
            let text = "\(Self.bracketed(host)):\(port)"
            do throws(CommandFailure) { try PublicFile.write("\(text)\n", to: folder.address) } catch {
                Output.error("coffer-vault: \(error.text)")
            }
            Output.line("ready on http://\(text), vault \(service.vaultID)")
        }
        var configuration = ServiceGroupConfiguration(
            services: [application, TimedCommands(service: service)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        defer { try? FileManager.default.removeItem(atPath: folder.address) }
        do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            throw CommandFailure(
                .unavailable,
                error.errnoCode == EADDRINUSE
                    ? "\(listen) is taken: another program, perhaps this vault, listens there. Choose another port."
                    : "The vault cannot serve on \(listen): \(reason).")
        } catch is SocketAddressError.UnknownHost {
            throw CommandFailure(.unavailable, "The vault cannot serve on \(listen): no such host is known here.")
        } catch {
            throw CommandFailure(.unavailable, "The vault stopped: \(error)")
        }
    }

    /// As it stands in a URL: an IPv6 address has colons of its own (RFC 3986 section 3.2.2).
    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

/// Expiry and destruction while the vault serves.
private struct TimedCommands: Service {
    let service: VaultService

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await service.settleDue()
                // Shares expire and are destroyed within this time of when they are due; requests settle them at once.
                try? await Task.sleep(for: .seconds(30))
            }
        }
    }
}
