import ArgumentParser
import Coffer

struct Prune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove old backups, and what only they needed.",
        discussion: """
            A backup stays if any --keep rule names it; the newest one of each folder always stays. What is not needed any \
            more is named first and removed by a later run, when the grace is over: another device may be backing up. If the \
            store does not show a backup that it should have, nothing is removed.
            """)

    @Option(help: "Keep the newest so many.") var keepLast: Int?
    @Option(help: "Keep the newest of so many days.") var keepDaily: Int?
    @Option(help: "Keep the newest of so many weeks.") var keepWeekly: Int?
    @Option(help: "Keep the newest of so many months.") var keepMonthly: Int?
    @Option(help: ArgumentHelp("Keep all of so many days.", valueName: "days")) var keepWithin: Int?
    @Option(help: ArgumentHelp("0 if no other device backs up to this store.", valueName: "hours")) var grace = 24
    @Option(help: ArgumentHelp("Waste in the store before it is written anew.", valueName: "percent")) var maxWaste = 20
    @Flag(help: "Give up backups that the store should have and does not show.") var acceptMissing = false
    @Flag(help: "Only say what would be done.") var dryRun = false
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        let rules = [keepLast, keepDaily, keepWeekly, keepMonthly, keepWithin].compactMap { $0 }
        guard !rules.isEmpty else {
            throw ValidationError("Say what stays, for example --keep-daily 7 --keep-monthly 12.")
        }
        guard rules.allSatisfy({ $0 >= 0 }), (0...87_600).contains(grace), (0...100).contains(maxWaste) else {
            throw ValidationError("Numbers are not negative; --grace is at most 87600 hours, --max-waste 100 percent.")
        }
    }

    func run() async throws {
        let policy = KeepPolicy(
            last: keepLast, daily: keepDaily, weekly: keepWeekly, monthly: keepMonthly, withinDays: keepWithin)
        let summary = try await unlock.open(common).prune(
            keeping: policy, graceHours: grace, wastePercentMax: maxWaste, acceptingMissing: acceptMissing,
            isTrial: dryRun)
        if common.json { return try Output.json(summary) }
        describe(summary)
    }

    private func describe(_ summary: PruneSummary) {
        let would = dryRun ? "would be " : ""
        let removed = summary.removed.isEmpty ? "" : " (\(summary.removed.map(String.init).joined(separator: ", ")))"
        Output.line(
            "\(Words.count(summary.kept.count, "snapshot")) kept, \(summary.removed.count) \(would)removed\(removed); "
                + "\(Words.bytes(summary.freedBytes)) \(would)freed.")
        if summary.repackedBytes > 0 {
            Output.line("\(Words.bytes(summary.repackedBytes)) written anew to use the space better.")
        }
        if summary.waitingBytes > 0, let until = summary.waitingUntil {
            let when = dryRun ? "after the grace" : "by a prune after \(Words.time(until))"
            Output.line("\(Words.bytes(summary.waitingBytes)) more will be freed \(when).")
        }
        summary.notes.forEach { Output.line(Output.printable($0)) }
    }
}
