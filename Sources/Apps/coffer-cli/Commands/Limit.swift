import ArgumentParser
import Coffer

struct Limit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or set how fast this device writes to its store and reads from it.",
        discussion: """
            It is remembered, and holds for every command that says nothing else with --limit; with --from STORE nothing is remembered. Databases \
            and files are read as fast as ever.
            """)

    @Argument(
        help: ArgumentHelp(
            "In bytes per second: 2M for both, 500K:4M for up and down, off for none. Without it: show what there is.",
            valueName: "rate"))
    var rate: Rate?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        if let rate { try common.device.setTransferLimit(rate.limit) }
        let limit = try common.device.transferLimit()
        if common.json { return try Output.json(limit) }
        Output.line("Up: \(words(limit.up)). Down: \(words(limit.down)).")
    }

    private func words(_ rate: UInt64?) -> String { rate.map { "\(Words.bytes($0)) per second" } ?? "no limit" }
}
