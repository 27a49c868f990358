import ArgumentParser
import Coffer

struct BackUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Back up now.",
        discussion:
            "Apps may go on writing: databases are read as of one moment. What is in the store is not sent again.")

    @Flag(help: "Go on from what the store shows, even if it lacks your last backup.") var acceptOlder = false
    @Flag(help: "Begin even if the store surely has too little room.") var ignoreRoom = false
    @OptionGroup var transfer: TransferOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let summary = try await ProgressDisplay.during(common) { progress in
            try await common.device(transfer).backUp(
                acceptingOlder: acceptOlder, ignoringRoom: ignoreRoom, progress: progress)
        }
        if common.json { try Output.json(summary) } else { Self.describe(summary) }
        await Self.describeVaults(common)
        if summary.snapshot.skipped.contains(where: \.isLoss) {
            throw ExitCode(CofferError.Code.sourceIncomplete.exitStatus)
        }
    }

    static func describe(_ summary: BackupSummary) {
        let snapshot = summary.snapshot
        Output.line(
            "Snapshot \(snapshot.number): \(Words.count(snapshot.files, "file")) in "
                + "\(Words.count(snapshot.directories, "folder")), \(Words.bytes(snapshot.contentBytes)); "
                + "\(Words.bytes(summary.storedBytes)) written to the store.")
        if !snapshot.leftOut.isEmpty {
            Output.line("Left out, as you chose: \(Words.list(snapshot.leftOut)). coffer include shows what that is.")
        }
        if snapshot.leftOut.contains(FileCategory.messages.rawValue) { Output.note("Warning: messages are not saved.") }
        for path in summary.messagesLeftOut {
            Output.note("Warning: not saved, since a pattern leaves it out: \(Output.printable(name: path))")
        }
        for item in snapshot.skipped { Output.note(describe(item)) }
        let unlisted = snapshot.skippedCount - min(snapshot.skippedCount, UInt64(snapshot.skipped.count))
        if unlisted > 0 { Output.note("… and \(unlisted) more.") }
        (summary.notes + [summary.vaults?.note].compactMap { $0 }).forEach { Output.note(Output.printable($0)) }
    }

    /// The daily look at the vaults: it also calls off what somebody asked for without the key.
    static func describeVaults(_ common: CommonOptions) async {
        guard let report = try? await common.device.attempts(), !common.json else { return }
        for failed in report.failed { Output.note(Attempts.words(failed)) }
        report.notices.forEach(Output.note)
    }

    private static func describe(_ item: SkippedItem) -> String {
        let path = Output.printable(name: item.path)
        return switch item.reason {
        case .unreadable: "Not saved: \(path) cannot be read."
        case .vanished: "Not saved: \(path) vanished while the backup ran."
        case .changedWhileRead: "Saved as it was last read: \(path) kept changing."
        case .notAFile: "Not saved: \(path) is a socket, a pipe or a device."
        }
    }
}
