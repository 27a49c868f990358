import ArgumentParser
import Logging
import VaultServer

/// What a serving vault logs.
struct LogOptions: ParsableArguments {
    @Option(help: "How log lines are written: text or json. Docs/Operating.md lists every line.")
    var logFormat = VaultLogHandler.Format.text

    @Option(help: "The least level that is logged: debug, info, warning or error.")
    var logLevel = Level.info

    enum Level: String, CaseIterable, ExpressibleByArgument {
        case debug, info, warning, error

        var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
    }

    func logger() -> Logger {
        Logger(label: "coffer-vault") { _ in
            var handler = VaultLogHandler(format: logFormat) { Output.errorText($0) }
            handler.logLevel = logLevel.level
            return handler
        }
    }

    /// For the libraries below: their lines say nothing that an operator could use, until something is wrong.
    func libraryLogger() -> Logger {
        var logger = logger()
        logger.logLevel = .error
        return logger
    }
}

extension VaultLogHandler.Format: ExpressibleByArgument {}

/// What strangers may make the vault hold.
struct LimitOptions: ParsableArguments {
    @Option(
        help: "Open connections. Above it the one that has waited longest for its client's next request is closed.")
    var connections = 12_000

    @Option(
        help: ArgumentHelp(
            "Open connections of one address.",
            discussion: "By default 256, and no limit for this machine's own addresses, where a proxy stands."))
    var connectionsPerAddress: Int?

    @Option(help: "Seconds that a connection may wait for its client's next request.")
    var idleSeconds: Int64 = 30

    @Option(help: "Seconds in which a request must have arrived whole.")
    var requestSeconds: Int64 = 10

    @Option(help: "Seconds in which a client must have taken its answer.")
    var answerSeconds: Int64 = 60

    /// Files that are not a client's connection: the store, the anchor, witnesses, the system's own.
    private static let otherFiles = 256

    func validate() throws {
        guard (1...1_000_000).contains(connections), (1...1_000_000).contains(connectionsPerAddress ?? 1) else {
            throw ValidationError("--connections and --connections-per-address are 1 to 1000000.")
        }
        guard [idleSeconds, requestSeconds, answerSeconds].allSatisfy({ (1...3600).contains($0) }) else {
            throw ValidationError("--idle-seconds, --request-seconds and --answer-seconds are 1 to 3600.")
        }
    }

    func bounds() throws(CommandFailure) -> VaultHTTP.Bounds {
        let needed = connections + Self.otherFiles
        let limit = OpenFiles.raise(to: needed)
        guard limit >= needed else {
            throw CommandFailure(
                .unavailable,
                "\(connections) connections need \(needed) open files, and this system allows the process \(limit). Raise the "
                    + "limit (LimitNOFILE= in the systemd unit, `ulimit -n` in a shell), or serve with "
                    + "`--connections \(max(1, limit - Self.otherFiles))`. Nothing was changed.")
        }
        var bounds = VaultHTTP.Bounds()
        bounds.connectionsMax = connections
        bounds.connectionsPerAddressMax = connectionsPerAddress
        bounds.idleSeconds = idleSeconds
        bounds.requestSeconds = requestSeconds
        bounds.answerSeconds = answerSeconds
        return bounds
    }
}
