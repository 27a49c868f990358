import ArgumentParser
import Coffer

struct Attempts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show failed attempts at your password, and give back your own.",
        discussion: """
            Attempts that you followed with the right password are given back by themselves. The others count until the \
            password is changed, for they may have been somebody else's. --forgive gives back those that count, if you say \
            that they were yours.
            """)

    @Flag(help: "Give the attempts back that count. You are asked whether they were your own.") var forgive = false
    @Flag(help: "Say that they were your own, without being asked.") var yes = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard let report = try await common.device.attempts() else {
            throw CofferError(
                .notRegistered, "This backup has no password: no vaults hold its key.",
                advice: "There is nothing to guess.")
        }
        guard forgive, !report.counting.isEmpty else {
            if common.json { return try Output.json(report) }
            return describe(report)
        }
        if !common.json { describe(report) }
        if !yes {
            let answer = try SecretInput.askVisibly(
                "Were all of these attempts your own? Type yes to have them back: ", insteadUse: "--yes")
            guard answer == "yes" else {
                throw CofferError(
                    .notConfirmed, "The attempts still count.",
                    advice: "If they were not yours, somebody signs in as you: tell whoever runs the app.")
            }
        }
        let problems = try await common.device.forgive(report)
        if common.json {
            struct Report: Encodable {
                let forgiven: Int
                let problems: [String]
            }
            return try Output.json(Report(forgiven: report.counting.count, problems: problems))
        }
        Output.line("\(Words.count(report.counting.count, "attempt")) given back.")
        problems.forEach(Output.note)
    }

    private func describe(_ report: AttemptsReport) {
        for failed in report.failed { Output.line(Self.words(failed)) }
        if report.failed.isEmpty { Output.line("No failed attempts.") }
        if !report.counting.isEmpty { Output.line("These count:") }
        for attempt in report.counting {
            Output.line("  \(Words.time(attempt.time)), at \(Words.count(attempt.vaults, "vault"))")
        }
        report.notices.forEach(Output.line)
        report.problems.forEach(Output.note)
    }

    /// `2 failed attempts on 3 May 2026`
    static func words(_ failed: FailedAttemptsSummary) -> String {
        let (first, last) = (Words.day(failed.first), Words.day(failed.last))
        let when = first == last ? "on \(first)" : "between \(first) and \(last)"
        guard failed.passwords > 0 else {
            return "Attempts \(when) at \(Words.count(failed.vaults, "vault")), too few to try a password."
        }
        return "\(Words.count(failed.passwords, "failed attempt")) \(when)"
    }
}
