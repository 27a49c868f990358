import ArgumentParser
import Foundation
import SecurityModules
import VaultCore
import VaultServer

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves every record of a vault's store against its anchor. Changes nothing in it.")

    @Argument(help: "The vault's folder.")
    var folder: String

    func run() throws {
        let parts = try VaultFolder(path: folder).openParts()
        let audit: StoreAudit
        do throws(LedgerError) { audit = try parts.records.audit() } catch { throw CommandFailure(error) }
        if let token = parts.keys.token?.settings {
            Output.line("ok  \(token.name) opens the data key, with its key of the id \(token.id)")
        } else {
            Output.line("ok  the key file opens the data key")
        }
        Output.line("ok  \(audit.recordCount) records: each is the one that the tree has in its place, and opens")
        Output.line("ok  the tree is that of the head of epoch \(audit.epoch), which this vault's data key made")
        if audit.isOneAhead {
            Output.line("ok  the anchor is one batch behind, as after a crash; opening the vault completes it")
        } else {
            Output.line("ok  the anchor remembers this head")
        }
    }
}
