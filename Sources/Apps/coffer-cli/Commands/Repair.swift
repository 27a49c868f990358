import ArgumentParser
import Coffer

struct Repair: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Mend a damaged store as far as what is left allows.",
        discussion: """
            Reads every pack. Indexes are made anew from the packs, a damaged copy of the keyring from the whole one; no \
            backup builds on damaged packs any more, so that the next one stores again what this device still has. Says \
            which files of which snapshots are lost. Nothing that opens is changed or removed.
            """)

    @Flag(help: "Only say what would be done.") var dryRun = false
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let backup = try await unlock.open(common)
        let summary = try await ProgressDisplay.during(common) { progress in
            try await backup.repair(isTrial: dryRun, progress: progress)
        }
        if common.json { try Output.json(summary) } else { describe(summary) }
        guard summary.lostCount == 0, summary.lostSnapshots.isEmpty else {
            throw ExitCode(CofferError.Code.damageFound.exitStatus)
        }
    }

    private func describe(_ summary: RepairSummary) {
        let read = "\(Words.count(summary.packs, "pack")) read"
        if summary.isClean { return Output.line("\(read); nothing is damaged.") }
        Output.line("\(read). \(dryRun ? "What would be mended:" : "What was mended:")")
        for line in summary.mended { Output.line("  \(Output.printable(name: line))") }
        if summary.mended.isEmpty { Output.line("  nothing") }
        for note in summary.notes { Output.line(Output.printable(name: note)) }
        for name in summary.lostSnapshots { Output.line("\(name): this snapshot cannot be read; it is lost.") }
        if summary.lostCount > 0 {
            Output.line("Lost in snapshots that were made before:")
            for lost in summary.lost {
                let numbers = lost.snapshots.map(String.init).joined(separator: ", ")
                Output.line("  \(Output.printable(name: lost.path)) (\(numbers))")
            }
            let more = summary.lostCount - summary.lost.count
            if more > 0 { Output.line("  … and at least \(more) more.") }
        }
        if !dryRun { Output.line("Run coffer backup now: it stores again whatever of this is still on this device.") }
    }
}
