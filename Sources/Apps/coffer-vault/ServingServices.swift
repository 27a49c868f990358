import Logging
import ServiceLifecycle
import UnixSignals
import VaultServer

/// Expiry and destruction while the vault serves.
struct TimedCommands: Service {
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

/// Asks the store and the anchor, so that `/ready` can be answered from memory.
struct Probing: Service {
    let service: VaultService

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // A balancer takes a vault that cannot answer out within this time and its own.
                try? await Task.sleep(for: .seconds(5))
                await service.probe()
            }
        }
    }
}

/// SIGHUP: the certificate is read again. One that does not read changes nothing.
struct Rereading: Service {
    let certificate: ServerCertificate?
    let options: TLSOptions
    let metrics: VaultMetrics
    let logger: Logger

    func run() async throws {
        if let certificate { metrics.show(certificate) }
        // Taken also without a certificate: the system's own answer to the signal is to end the process.
        let signals = await UnixSignalsSequence(trapping: .sighup)
        await cancelWhenGracefulShutdown {
            for await _ in signals { reread() }
        }
    }

    private func reread() {
        guard let certificate else { return }
        do throws(CommandFailure) {
            try options.replace(certificate)
            metrics.show(certificate)
            logger.log(.certificateRead)
        } catch { logger.log(.certificateKept, ["reason": "\(error.text)"]) }
    }
}

/// The last service, and so the first to be told to stop: the others follow when it has ended.
struct Draining: Service {
    let readiness: Readiness
    let seconds: UInt32
    let logger: Logger

    func run() async throws {
        // Cancelled when another service did not start: then there is nothing to drain.
        do { try await gracefulShutdown() } catch { return }
        readiness.drain()
        logger.log(.draining)
        // A balancer needs this time to notice; connections are still taken meanwhile.
        if seconds > 0 { try? await Task.sleep(for: .seconds(seconds)) }
    }
}
