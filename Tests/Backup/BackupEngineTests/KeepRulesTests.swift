import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import Testing

@Suite struct KeepRulesTests {
    private static let day: UInt64 = 86_400
    /// 2027-01-15 08:00:00 UTC, a Friday.
    private static let now: UInt64 = 1_800_000_000

    private static var calendar: Calendar {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = TimeZone(secondsFromGMT: 0) ?? .gmt
        return calendar
    }

    private func snapshot(_ number: UInt32, endedSeconds: UInt64, source: String = "Chats") throws -> Snapshot {
        Snapshot(
            number: number, id: try ObjectID([UInt8](repeating: UInt8(number % 251), count: 16)),
            beganSeconds: endedSeconds, endedSeconds: endedSeconds, previous: .none, source: source,
            totals: Snapshot.Totals(), skipped: [],
            root: Entry(
                name: Entry.rootName,
                metadata: Metadata(
                    mode: 0o755, owner: 0, group: 0, modifiedSeconds: 0, modifiedNanoseconds: 0, attributes: []),
                kind: .directory(.empty)))
    }

    /// One a day at the same hour, the first of them `count` − 1 days ago.
    private func daily(_ count: Int, source: String = "Chats", from number: UInt32 = 1) throws -> [Snapshot] {
        try (0..<count).map { index in
            try snapshot(
                number + UInt32(index), endedSeconds: Self.now - UInt64(count - 1 - index) * Self.day, source: source)
        }
    }

    private func kept(_ rules: KeepRules, of snapshots: [Snapshot]) -> [UInt32] {
        rules.kept(of: snapshots, calendar: Self.calendar).map(\.number).sorted()
    }

    @Test func `the newest stays whatever the rules say`() throws {
        #expect(kept(KeepRules(), of: try daily(5)) == [5])
        #expect(kept(KeepRules(last: 0), of: try daily(5)) == [5])
        #expect(kept(KeepRules(last: 3), of: []) == [])
    }

    @Test func `the last ones, and those within a time`() throws {
        #expect(kept(KeepRules(last: 3), of: try daily(10)) == [8, 9, 10])
        #expect(kept(KeepRules(withinSeconds: 2 * Self.day), of: try daily(10)) == [8, 9, 10])
        #expect(kept(KeepRules(withinSeconds: .max), of: try daily(10)).count == 10)
    }

    @Test func `of each day, week and month the newest`() throws {
        // Three a day for ten days.
        let snapshots = try (0..<30).map { index in
            try snapshot(UInt32(index + 1), endedSeconds: Self.now - UInt64(29 - index) * 8 * 3600)
        }
        let byDay = kept(KeepRules(daily: 4), of: snapshots)
        #expect(byDay.count == 4 && byDay.last == 30)
        let year = try daily(365)
        #expect(kept(KeepRules(weekly: 3), of: year) == [353, 360, 365], "Sundays, and today")
        #expect(kept(KeepRules(monthly: 3), of: year) == [319, 350, 365], "the last of November and of December")
        #expect(kept(KeepRules(daily: 7, weekly: 4, monthly: 12), of: year).count == 7 + 2 + 11)
    }

    @Test func `days without a backup are not counted`() throws {
        let rare = try (1...6).map { try snapshot($0, endedSeconds: Self.now - UInt64(6 - $0) * 40 * Self.day) }
        #expect(kept(KeepRules(daily: 5), of: rare) == [2, 3, 4, 5, 6])
    }

    @Test func `each source is judged by itself`() throws {
        let snapshots = try daily(4, source: "Phone") + daily(3, source: "Tablet", from: 10)
        #expect(kept(KeepRules(last: 2), of: snapshots) == [3, 4, 11, 12])
    }
}
