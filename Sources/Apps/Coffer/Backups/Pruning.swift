import BackupEngine
import BackupFormat
import Foundation
import RecoveryProtocol

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
    /// What the person should know besides.
    public let notes: [String]

    init(_ report: PruneReport, in place: String, notes: [String]) {
        let lost =
            report.givenUp.isEmpty
            ? [] : ["Given up, since \(place) does not show it: \(MissingSnapshot.words(report.givenUp))."]
        kept = report.kept.map { Int($0.number) }
        removed = report.removed.map { Int($0.number) }
        freedBytes = report.freedBytes
        waitingBytes = report.waitingBytes
        waitingUntil = report.waitingUntilSeconds
        repackedBytes = report.repackedBytes
        self.notes = lost + notes
    }
}

extension OpenedBackup {
    /// Removes backups, and what only they needed.
    ///
    /// - Parameters:
    ///   - graceHours: how long what is not needed any more stays, for other devices that are backing up meanwhile; 0 if
    ///     there is none.
    ///   - wastePercentMax: how much of the store may be waste before it is written anew.
    ///   - acceptingMissing: go on although the store does not show snapshots that it should; what only they needed goes.
    ///   - isTrial: only say what would be done.
    public func prune(
        keeping policy: KeepPolicy, graceHours: Int = 24, wastePercentMax: Int = 20, acceptingMissing: Bool = false,
        isTrial: Bool = false
    ) async throws(CofferError) -> PruneSummary {
        let rules = policy.rules
        guard !rules.areEmpty else {
            throw CofferError(
                .notConfirmed, "No rule says which backups stay, so none was removed.",
                advice: "Give at least one, such as --keep-daily 7.")
        }
        let options = Prune.Options(
            graceSeconds: UInt64(clamping: min(graceHours, 1 << 20)) * 3600,
            wastePercentMax: wastePercentMax, acceptsMissing: acceptingMissing, isTrial: isTrial)
        let seen = seenSnapshots?.load() ?? []
        let heads = await heads?.ask(for: repository.header.store)
        do {
            let report = try await Prune.run(
                repository, keeping: { rules.kept(of: $0, calendar: Calendar(identifier: .iso8601)) },
                knowing: KnownSnapshots(heads: heads?.heads ?? [], own: heads?.own, seen: seen),
                options: options, now: secondsSince1970(), generator: SystemRandomNumberGenerator())
            if !isTrial { seenSnapshots?.save(report.seen, insteadOf: seen) }
            let notes = [heads?.note, keepsDeleted ? StoreLocation.keepsDeletedNote : nil].compactMap { $0 }
            return PruneSummary(report, in: place, notes: notes)
        } catch {
            throw CofferError(error, place: place)
        }
    }
}

extension MissingSnapshot {
    /// A few of them, in the order of their numbers.
    static func words(_ missing: [MissingSnapshot]) -> String {
        let named = missing.prefix(3).map(\.words)
        let more = missing.count - named.count
        return (named + (more > 0 ? ["\(more) more"] : [])).joined(separator: ", ")
    }

    private var words: String {
        let name = number.map { "snapshot \($0)" } ?? "a snapshot"
        switch witness {
        case .successor(let next): return "the snapshot that was there when snapshot \(next) was made"
        case .head(let seconds):
            return "\(name), the last backup that is known of (\(Timestamp(unixSeconds: seconds).words))"
        case .memory: return "\(name), which this device has seen there"
        case .list: return "\(name), which it showed a moment ago"
        }
    }
}
