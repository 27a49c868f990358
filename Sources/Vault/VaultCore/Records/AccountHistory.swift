package import ByteCoding
package import RecoveryProtocol

/// What happened to an account, in bounded space. Nothing is ever dropped: events of one kind within a day coalesce,
/// and when the space is full, two entries of one kind become one. So a flood costs the flooder's own kind its days,
/// and no kind its count.
package struct AccountHistory: ByteCodable, Equatable, Sendable {
    private static let coalesceSeconds: UInt64 = 24 * 3600
    private static let limits = 0...HistoryEntry.byteCount * Limits.historyEntriesMax

    /// In the order of their first events.
    package private(set) var entries: [HistoryEntry] = []

    package init() {}

    package mutating func note(_ kind: HistoryEntry.Kind, count: UInt32 = 1, atSeconds seconds: UInt64) {
        let now = Timestamp(unixSeconds: seconds)
        if let position = entries.lastIndex(where: { $0.kind == kind }),
            now < entries[position].first.adding(seconds: Self.coalesceSeconds)
        {
            entries[position] = entries[position].joined(
                HistoryEntry(kind: kind, count: count, first: now, last: now))
            return
        }
        if entries.count >= Limits.historyEntriesMax { makeRoom() }
        entries.append(HistoryEntry(kind: kind, count: count, first: now, last: now))
    }

    /// An attempt turned out to be the owner's: it is no longer shown as a failed one.
    package mutating func takeBackAttempt(atSeconds seconds: UInt64) {
        let time = Timestamp(unixSeconds: seconds)
        let position = entries.lastIndex { $0.kind == .attempt && $0.first <= time && time <= $0.last }
        guard let position else { return }
        let entry = entries[position]
        if entry.count == 1 {
            entries.remove(at: position)
        } else {
            entries[position] = HistoryEntry(
                kind: .attempt, count: entry.count - 1, first: entry.first, last: entry.last)
        }
    }

    /// Joins the two oldest entries of one kind: of an uncharged kind as long as there is one, so that a flood of what
    /// costs nothing leaves attempts and requests their days. There are fewer kinds than places: two are always alike.
    private mutating func makeRoom() {
        for isCharged in [false, true] {
            for (position, entry) in entries.enumerated() where entry.kind.isCharged == isCharged {
                let later = entries[(position + 1)...].firstIndex { $0.kind == entry.kind }
                guard let later else { continue }
                entries[position] = entry.joined(entries[later])
                entries.remove(at: later)
                return
            }
        }
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        entries = try reader.list(Self.limits)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.list(entries, Self.limits)
    }
}

extension HistoryEntry {
    fileprivate func joined(_ other: HistoryEntry) -> HistoryEntry {
        HistoryEntry(
            kind: kind, count: count.saturatingAdd(other.count), first: min(first, other.first),
            last: max(last, other.last))
    }
}
