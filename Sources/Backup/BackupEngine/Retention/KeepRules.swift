package import BackupFormat
package import Foundation

/// Which backups stay: those that any of the rules names. A rule that is nil names none.
package struct KeepRules: Equatable, Sendable {
    /// The newest ones, so many.
    package var last: Int?
    /// The newest of each of the latest days (weeks, months) that have one, so many.
    package var daily: Int?
    package var weekly: Int?
    package var monthly: Int?
    /// All that are at most this old, counted from the newest.
    package var withinSeconds: UInt64?

    package init(
        last: Int? = nil, daily: Int? = nil, weekly: Int? = nil, monthly: Int? = nil, withinSeconds: UInt64? = nil
    ) {
        self.last = last
        self.daily = daily
        self.weekly = weekly
        self.monthly = monthly
        self.withinSeconds = withinSeconds
    }

    /// Without a rule there is nothing to go by, and everything would go.
    package var areEmpty: Bool { self == KeepRules() }

    /// What stays of the snapshots of one source, and of each source by itself: two devices on one store do not push out
    /// each other's. The newest of each source stays whatever the rules say.
    ///
    /// - Parameter calendar: whose days, weeks and months are meant.
    package func kept(of snapshots: [Snapshot], calendar: Calendar) -> Set<SnapshotName> {
        var bySource: [String: [Snapshot]] = [:]
        for snapshot in snapshots { bySource[snapshot.source, default: []].append(snapshot) }
        return bySource.values.reduce(into: []) { kept, group in
            kept.formUnion(keptOfOneSource(group.sorted(by: isNewer), calendar: calendar))
        }
    }

    /// - Parameter snapshots: the newest first.
    private func keptOfOneSource(_ snapshots: [Snapshot], calendar: Calendar) -> Set<SnapshotName> {
        guard let newest = snapshots.first else { return [] }
        var kept: Set = [newest.name]
        kept.formUnion(snapshots.prefix(last ?? 0).map(\.name))
        if let withinSeconds {
            let oldest = newest.endedSeconds - min(withinSeconds, newest.endedSeconds)
            kept.formUnion(snapshots.filter { $0.endedSeconds >= oldest }.map(\.name))
        }
        let periods: [(count: Int?, components: Set<Calendar.Component>)] = [
            (daily, [.era, .year, .month, .day]), (weekly, [.yearForWeekOfYear, .weekOfYear]),
            (monthly, [.era, .year, .month]),
        ]
        for (count, components) in periods {
            var seen: Set<DateComponents> = []
            for snapshot in snapshots where seen.count < count ?? 0 {
                let date = Date(timeIntervalSince1970: TimeInterval(snapshot.endedSeconds))
                if seen.insert(calendar.dateComponents(components, from: date)).inserted { kept.insert(snapshot.name) }
            }
        }
        return kept
    }

    /// By time, and by name where two ended together.
    private func isNewer(_ left: Snapshot, _ right: Snapshot) -> Bool {
        (left.endedSeconds, left.name.number) > (right.endedSeconds, right.name.number)
    }
}

extension Snapshot {
    package var name: SnapshotName { SnapshotName(number: number, id: id) }
}
