/// Attempts that nobody confirmed, as people are shown them: several vaults' histories together.
package struct FailedAttempts: Hashable, Sendable {
    /// The most passwords that can have been tried: each takes an attempt at t vaults. 0 if fewer vaults than that were
    /// asked: nothing was learnt, but attempts were used up.
    package let passwords: Int
    /// Vaults that say so.
    package let vaults: Int
    package let first: Timestamp
    package let last: Timestamp

    private static let apartSeconds: UInt64 = 3600
    /// A vault's count beyond this is not believed in, and not counted to.
    private static let countMax: UInt32 = 10_000

    /// What happened within an hour of each other is one, over all vaults; the oldest first. Fewer than t vaults cannot
    /// raise `passwords` from 0.
    package static func summary(of histories: [[HistoryEntry]], threshold: Int) -> [FailedAttempts] {
        var attempts: [(vault: Int, entry: HistoryEntry)] = []
        for (vault, history) in histories.enumerated() {
            attempts += history.filter { $0.kind == .attempt }.map { (vault, $0) }
        }
        attempts.sort { $0.entry.first < $1.entry.first }
        var clusters: [(first: Timestamp, last: Timestamp, counts: [Int])] = []
        for (vault, entry) in attempts {
            if let cluster = clusters.last, entry.first <= cluster.last.adding(seconds: apartSeconds) {
                clusters[clusters.count - 1].last = max(cluster.last, entry.last)
            } else {
                clusters.append((entry.first, entry.last, [Int](repeating: 0, count: histories.count)))
            }
            clusters[clusters.count - 1].counts[vault] += Int(min(entry.count, countMax))
        }
        return clusters.map { cluster in
            FailedAttempts(
                passwords: Fleet.attemptsShown(left: cluster.counts, threshold: threshold),
                vaults: cluster.counts.count { $0 > 0 }, first: cluster.first, last: cluster.last)
        }
    }
}
