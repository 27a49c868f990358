import Logging
import ServiceLifecycle
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

/// The last service, and so the first to be told to stop: the others follow when it has ended.
struct Draining: Service {
    let readiness: Readiness
    let seconds: UInt32
    let logger: Logger

    func run() async throws {
        try? await gracefulShutdown()
        readiness.drain()
        logger.log(.draining)
        // A balancer needs this time to notice; connections are still taken meanwhile.
        if seconds > 0 { try? await Task.sleep(for: .seconds(seconds)) }
    }
}
