import ArgumentParser

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@main struct Main {
    static func main() async {
        harden()
        do {
            var command = try CofferVault.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Output.error("coffer-vault: \(failure.text)")
            exit(failure.status.rawValue)
        } catch {
            CofferVault.exit(withError: error)
        }
    }

    /// No core file may hold a share, and no file that the vault makes is for others to read.
    private static func harden() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        #if canImport(Glibc)
            _ = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        #else
            _ = setrlimit(RLIMIT_CORE, &none)
        #endif
        umask(0o077)
    }
}

struct CofferVault: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coffer-vault",
        abstract: "Runs one Backup Key Vault of a fleet.",
        discussion: """
            A vault keeps one share of each registration's key, counts the guesses of its password, and destroys the \
            share when they are used up.
            """,
        version: "0.1.0",
        subcommands: [
            Init.self, Serve.self, TenantCommands.self, IssuerCommands.self, FleetCommands.self, Audit.self,
            Backup.self, Restore.self, TokenCommands.self, WitnessCommand.self, SelfTest.self,
        ])
}
