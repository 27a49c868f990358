import ArgumentParser
import Coffer

struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a backup back into a folder.",
        discussion: """
            On a new device name the store with --from. What is in the folder already is never overwritten. Damage costs \
            the files it lies in; they are named, and everything else is restored.
            """)

    @Argument(help: "The folder to restore to; it is made if it is not there.") var folder: String
    @Option(help: ArgumentHelp("Which snapshot; without it the newest.", valueName: "number")) var snapshot: Int?
    @Option(
        name: [.customLong("only"), .customLong("path")],
        help: ArgumentHelp("Restore this file or folder of the snapshot alone, at its own path.", valueName: "path"))
    var only: String?
    @Flag(help: "Restore into a folder that holds something; what is there is kept.") var intoExisting = false
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        // Before a password costs an attempt.
        try OpenedBackup.requireTarget(folder, intoExisting: intoExisting)
        let backup = try await unlock.open(common)
        let display = ProgressDisplay(silent: common.json)
        let summary: RestoreSummary
        do {
            summary = try await backup.restore(
                snapshot.map { .number($0) } ?? .newest, to: folder, intoExisting: intoExisting, only: only ?? "",
                progress: display.handler)
        } catch {
            display.finish()
            throw error
        }
        display.finish()
        if common.json { try Output.json(summary) } else { describe(summary) }
        guard summary.missing.isEmpty else { throw ExitCode(CofferError.Code.restoreIncomplete.exitStatus) }
    }

    private func describe(_ summary: RestoreSummary) {
        Output.line(
            "Restored snapshot \(summary.snapshot.number) of \(Words.time(summary.snapshot.began)) to \(folder): "
                + "\(Words.count(summary.files, "file")) in \(Words.count(summary.directories, "folder")), "
                + "\(Words.bytes(summary.contentBytes)).")
        guard !summary.missing.isEmpty else { return }
        Output.note("Not restored:")
        for item in summary.missing {
            Output.note("  \(Output.printable(name: item.path)): \(Output.printable(item.reason))")
        }
        let rest = summary.files > 0 ? "Everything else is whole. " : ""
        Output.note("\(rest)An older snapshot may still have what is missing: coffer snapshots")
    }
}
