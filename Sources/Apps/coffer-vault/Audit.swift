import ArgumentParser
import VaultServer

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves every record of a vault's store against its anchor. Changes nothing.")

    @Argument(help: "The vault's folder.")
    var folder: String

    func run() throws {
        let records = try VaultFolder(path: folder).open()
        let audit: StoreAudit
        do throws(LedgerError) { audit = try records.audit() } catch { throw CommandFailure(error) }
        Output.line("ok  \(audit.recordCount) records: each is the one that the tree has in its place, and opens")
        Output.line("ok  the tree is that of the head of epoch \(audit.epoch), which this vault's data key made")
        if audit.isOneAhead {
            Output.line("ok  the anchor is one batch behind, as after a crash; opening the vault completes it")
        } else {
            Output.line("ok  the anchor remembers this head")
        }
    }
}
