import BackupEngine
import BackupFormat
import ByteCoding
import RecoveryProtocol

/// Attempts at the password that nobody followed with the right one.
public struct FailedAttemptsSummary: Sendable, Codable, Equatable {
    /// The most passwords that can have been tried; 0 if too few vaults were asked to try one.
    public let passwords: Int
    /// How many vaults say so.
    public let vaults: Int
    /// Seconds since 1970.
    public let first: UInt64
    public let last: UInt64

    init(_ failed: FailedAttempts) {
        passwords = failed.passwords
        vaults = failed.vaults
        first = failed.first.unixSeconds
        last = failed.last.unixSeconds
    }
}

/// What was done with this account at the vaults.
public struct AttemptsReport: Sendable, Codable {
    /// An attempt that still counts against the password.
    public struct Counting: Sendable, Codable {
        let attempt: String
        /// Seconds since 1970.
        public let time: UInt64
        /// At how many vaults.
        public let vaults: Int
    }

    public let failed: [FailedAttemptsSummary]
    public let counting: [Counting]
    /// What else the owner must know, a sentence each.
    public let notices: [String]
    public let problems: [String]
}

extension Device {
    /// Asks the vaults what was done with this account: failed attempts, and what somebody tried without the key, which
    /// the asking calls off. Nil where no vaults hold the key. Never charged.
    public func attempts() async throws(CofferError) -> AttemptsReport? {
        guard let (access, key) = try vaultAccess() else { return nil }
        return report(await access.client.history(backupKey: key.key.secret))
    }

    /// Gives back what counts in a report, of which the person says that they were their own attempts.
    /// - Returns: what did not succeed, a sentence each.
    public func forgive(_ report: AttemptsReport) async throws(CofferError) -> [String] {
        guard let (access, key) = try vaultAccess() else { return [] }
        let attempts = report.counting.compactMap { try? AttemptID(hex: $0.attempt) }
        let history = await access.client.history(backupKey: key.key.secret)
        let (forgiven, problems) = await access.client.forgive(
            attempts, backupKey: key.key.secret, history: history)
        guard !forgiven.isEmpty || attempts.isEmpty else {
            throw CofferError(
                .tooFewVaults,
                "No vault gave an attempt back. "
                    + (history.problems + problems).map { "\($0.words)." }.joined(separator: " "),
                advice: "Run the command again when the vaults can be reached.")
        }
        return (history.problems + problems).map { "\($0.words)." }
    }

    private func vaultAccess() throws(CofferError) -> (FleetAccess, SixtyFourDigitKey)? {
        let settings = try enabledSettings()
        guard let access = try fleetAccess(settings) else { return nil }
        return (access, try key(settings))
    }

    func report(_ history: FleetHistory) -> AttemptsReport {
        AttemptsReport(
            failed: history.failed.map(FailedAttemptsSummary.init),
            counting: history.charged.map {
                AttemptsReport.Counting(
                    attempt: $0.attemptID.hex, time: $0.first.unixSeconds, vaults: $0.vaults.count)
            },
            notices: history.notices, problems: history.problems.map { "\($0.words)." })
    }
}

extension FleetHistory {
    /// In words, a sentence each.
    var notices: [String] {
        var notices: [String] = []
        for kind in [HistoryEntry.Kind.replacementRequested, .deletionRequested] {
            guard let entry = latest(kind) else { continue }
            let wanted = kind == .deletionRequested ? "delete your key" : "put another key in the place of yours"
            notices.append(
                "Somebody who signs in as you, and does not have your key, asked the vaults on \(entry.last.words) to "
                    + "\(wanted). This device has called that off.")
        }
        if !foreign.isEmpty {
            let places = foreign.map(\.vault.place).joined(separator: ", ")
            if let since = foreign.map(\.since).max(), since.unixSeconds > 0 {
                notices.append("Your key was replaced or deleted without your word on \(since.words) at: \(places).")
            } else {
                notices.append("Another key than yours is in use at: \(places).")
            }
        }
        return notices
    }
}
