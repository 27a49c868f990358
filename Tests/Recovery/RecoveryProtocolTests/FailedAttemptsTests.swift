import RecoveryProtocol
import Testing

@Suite struct `Failed attempts as people are shown them` {
    private func attempts(_ count: UInt32, at first: UInt64, until last: UInt64? = nil) -> HistoryEntry {
        HistoryEntry(
            kind: .attempt, count: count, first: Timestamp(unixSeconds: first),
            last: Timestamp(unixSeconds: last ?? first))
    }

    @Test func `are as many passwords as can have been tried`() {
        let histories = [
            [attempts(2, at: 100)], [attempts(1, at: 130)], [attempts(1, at: 90)], [], [attempts(2, at: 95)],
        ]
        let summary = FailedAttempts.summary(of: histories, threshold: 3)
        #expect(summary.map(\.passwords) == [2] && summary.map(\.vaults) == [4])
        #expect(summary.first?.first == Timestamp(unixSeconds: 90))
        #expect(summary.first?.last == Timestamp(unixSeconds: 130))
    }

    @Test func `fewer than t liars show no password tried`() {
        let liars = [[attempts(.max, at: 100)], [attempts(.max, at: 100)], [], [], []]
        #expect(FailedAttempts.summary(of: liars, threshold: 3).map(\.passwords) == [0])
        let one = [[attempts(.max, at: 100)], [attempts(.max, at: 100)], [attempts(1, at: 100)], [], []]
        #expect(FailedAttempts.summary(of: one, threshold: 3).map(\.passwords) == [1])
    }

    @Test func `of different days stand apart, and other events are no attempts`() {
        let history = [
            attempts(1, at: 0, until: 3600), attempts(3, at: 200_000),
            HistoryEntry(
                kind: .confirmed, count: 9, first: Timestamp(unixSeconds: 1), last: Timestamp(unixSeconds: 1)),
        ]
        #expect(FailedAttempts.summary(of: [history], threshold: 1).map(\.passwords) == [1, 3])
    }
}
