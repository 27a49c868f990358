import ArgumentParser
import Foundation
import SecurityModules
import VaultCore
import VaultServer

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves every record of a vault's store against its anchor. Changes nothing.")

    @Argument(help: "The vault's folder.")
    var folder: String

    func run() throws {
        let vault = VaultFolder(path: folder)
        let records = try vault.open()
        let audit: StoreAudit
        do throws(LedgerError) { audit = try records.audit() } catch { throw CommandFailure(error) }
        let token: TokenSettings?
        do throws(SecurityModuleError) { token = try vault.readTokenSettings() } catch { throw CommandFailure(error) }
        if let token {
            Output.line("ok  \(token.name) opens the data key, with its key of the id \(token.id)")
            if FileManager.default.fileExists(atPath: vault.wrappingKey) {
                Output.error(
                    "coffer-vault: \(vault.wrappingKey) is still there from before. Delete it: it opens the records too."
                )
            }
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
