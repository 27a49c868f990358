import ArgumentParser
import CCofferSystem
import Coffer
import Foundation

/// The program: parses, runs one command, and turns errors into words and a stable exit status.
@main
enum Program {
    static func main() async {
        forbidCoreDumps()
        keepFreedMemory()
        do {
            var command = try CofferCommand.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Output.warn()
        } catch let error as CofferError {
            Output.report(error)
            Output.warn()
            exit(error.code.exitStatus)
        } catch {
            Output.warn()
            let status = CofferCommand.exitCode(for: error).rawValue
            if Output.wantsJSON, status == EX_USAGE {
                Output.report(
                    name: "usage", message: CofferCommand.message(for: error), advice: "See --help.", status: status)
                exit(status)
            }
            CofferCommand.exit(withError: error)
        }
    }

    /// swift-crypto seals and opens each frame of 1 MiB in memory of its own, which the system would clear again and again
    /// if it were given back each time: that costs more than AES does. A little of it is kept.
    private static func keepFreedMemory() {
        coffer_keep_freed_memory(5 << 19)
    }

    /// A core file would hold the key.
    private static func forbidCoreDumps() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        #if canImport(Darwin)
            setrlimit(RLIMIT_CORE, &none)
        #else
            setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        #endif
    }
}

struct CofferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coffer",
        abstract: "End-to-end encrypted backup of chat histories.",
        discussion: """
            Everything is encrypted on this device under a random key before it leaves it. The store, a folder that \
            a cloud may keep in step, learns nothing but how much is written and when.
            """,
        version: "0.1.0",
        subcommands: [
            Enable.self, Include.self, Exclude.self, BackUp.self, Restore.self, Status.self, Verify.self, Drill.self,
            Snapshots.self, List.self,
            Prune.self, Repair.self, Limit.self, StoreCommand.self, Attempts.self,
            Protections.self, PasswordCommand.self, KeyCommand.self, Move.self, Disable.self,
            WhatsAppCommand.self,
        ])
}
