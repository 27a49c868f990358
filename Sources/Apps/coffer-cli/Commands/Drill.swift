import ArgumentParser
import Coffer
import Dispatch
import Foundation

/// A part of something, as people write it: `5%`, `5` or `0.5%`.
struct Percentage: ExpressibleByArgument {
    let value: Double

    init?(argument: String) {
        let text = argument.hasSuffix("%") ? String(argument.dropLast()) : argument
        guard let value = Double(text), value > 0, value <= 100 else { return nil }
        self.value = value
    }

    init(_ value: Double) { self.value = value }

    var defaultValueDescription: String { "\(value.formatted())%" }
}

struct Drill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Restore a random part of a backup, look at what came back, and remove it.",
        discussion: """
            Databases are always restored, and SQLite checks all of each. Every file is compared with what was saved, and \
            with the one on this device if that has not changed since. What is restored is not encrypted while it lies in \
            the scratch folder, which only you can read.
            """)

    @Option(help: ArgumentHelp("How many of the files.", valueName: "percent")) var sample = Percentage(5)
    @Option(
        help: ArgumentHelp(
            "Where to make the scratch folder; without it where this device keeps its settings.", valueName: "folder"))
    var scratch: String?
    @Option(help: ArgumentHelp("Which snapshot; without it the newest.", valueName: "number")) var snapshot: Int?
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var transfer: TransferOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let backup = try await unlock.open(common, transfer)
        let interruption = removesRemainsWhenInterrupted()
        defer { interruption.forEach { $0.cancel() } }
        let summary = try await ProgressDisplay.during(common) { progress in
            try await common.device.drill(
                backup, snapshot.map { .number($0) } ?? .newest, percent: sample.value, scratch: scratch,
                isOwn: unlock.from == nil, progress: progress)
        }
        if common.json { try Output.json(summary) } else { describe(summary) }
        guard summary.findings.isEmpty else { throw ExitCode(CofferError.Code.damageFound.exitStatus) }
    }

    /// What was restored must not stay behind in the clear.
    private func removesRemainsWhenInterrupted() -> [any DispatchSourceSignal] {
        let device = common.device
        return [SIGINT, SIGTERM, SIGHUP].map { (number: Int32) in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                device.removeDrillRemains(evenInUse: true)
                Foundation.exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    private func describe(_ summary: DrillSummary) {
        let databases = summary.databases == 0 ? "" : ", \(Words.count(summary.databases, "database")) among them"
        Output.line(
            "Restored \(Words.count(summary.files, "file")) of \(summary.filesTotal) of snapshot "
                + "\(summary.snapshot.number) (\(Words.bytes(summary.contentBytes)))\(databases), looked at each, and "
                + "removed them again.")
        if summary.findings.isEmpty {
            let compared =
                summary.comparedWithSource == 0
                ? ""
                : " \(Words.count(summary.comparedWithSource, "file")) equal\(summary.comparedWithSource == 1 ? "s" : "") "
                    + "what is on this device."
            let sound = summary.databases == 0 ? "" : ", and SQLite finds every database sound"
            Output.line("All came back as they were saved\(sound).\(compared)")
        } else {
            Output.line("Damage was found; \(Words.count(summary.findings.count, "finding")):")
            for finding in summary.findings { Output.line("  \(Output.printable(name: finding))") }
            Output.line(
                "Everything else that was restored is whole. coffer repair says what is lost, and makes the next backup store it again."
            )
        }
        for note in summary.notes { Output.note(Output.printable(name: note)) }
    }
}
