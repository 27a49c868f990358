import BackupEngine
import BackupFormat
import Foundation

/// Which backups stay: those that any of the rules names, and always the newest of each source.
public struct KeepPolicy: Sendable, Equatable {
    /// The newest ones, so many.
    public var last: Int?
    /// The newest of each of the latest days (weeks, months) that have one, so many.
    public var daily: Int?
    public var weekly: Int?
    public var monthly: Int?
    /// All of the last so many days, counted from the newest.
    public var withinDays: Int?

    public init(
        last: Int? = nil, daily: Int? = nil, weekly: Int? = nil, monthly: Int? = nil, withinDays: Int? = nil
    ) {
        self.last = last
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
        self.withinDays = withinDays
    }

    var rules: KeepRules {
        KeepRules(
            last: last, daily: daily, weekly: weekly, monthly: monthly,
            withinSeconds: withinDays.map { UInt64(clamping: $0).multipliedReportingOverflow(by: 86_400) }.map {
                $0.overflow ? .max : $0.partialValue
            })
    }
}

/// What pruning did, or, if it was a trial, would do.
public struct PruneSummary: Sendable, Equatable, Codable {
    /// Numbers of snapshots.
    public let kept: [Int]
    public let removed: [Int]
    public let freedBytes: UInt64
    /// Named to go, but still there until the time below, in seconds since 1970.
    public let waitingBytes: UInt64
    public let waitingUntil: UInt64?
    public let repackedBytes: UInt64
    /// What else to know, a sentence each.
    public let notes: [String]

    init(_ report: PruneReport, notes: [String]) {
        kept = report.kept.map { Int($0.number) }
        removed = report.removed.map { Int($0.number) }
        freedBytes = report.freedBytes
        waitingBytes = report.waitingBytes
        waitingUntil = report.waitingUntilSeconds
        repackedBytes = report.repackedBytes
        self.notes = notes
    }
}

extension OpenedBackup {
    /// Removes backups, and what only they needed.
    ///
    /// - Parameters:
    ///   - graceHours: how long what is not needed any more stays, for other devices that are backing up meanwhile; 0 if
    ///     there is none.
    ///   - wastePercentMax: how much of the store may be waste before it is written anew.
    ///   - isTrial: only say what would be done.
    public func prune(
        keeping policy: KeepPolicy, graceHours: Int = 24, wastePercentMax: Int = 20, isTrial: Bool = false
    ) async throws(CofferError) -> PruneSummary {
        let rules = policy.rules
        guard !rules.areEmpty else {
            throw CofferError(
                .notConfirmed, "No rule says which backups stay, so none was removed.",
                advice: "Give at least one, such as --keep-daily 7.")
        }
        let options = Prune.Options(
            graceSeconds: UInt64(clamping: min(graceHours, 1 << 20)) * 3600,
            wastePercentMax: wastePercentMax, isTrial: isTrial)
        do {
            let report = try await Prune.run(
                repository, keeping: { rules.kept(of: $0, calendar: Calendar(identifier: .iso8601)) },
                options: options, now: secondsSince1970(), generator: SystemRandomNumberGenerator())
            return PruneSummary(report, notes: keepsDeleted ? [StoreLocation.keepsDeletedNote] : [])
        } catch {
            throw CofferError(error, place: place)
        }
    }
}
