import Crypt15

/// One of the backups that WhatsApp keeps in its folder `Databases`, by its name.
///
/// `msgstore.db.crypt15` is the newest, `msgstore-2026-01-31.1.db.crypt15` an older one, `msgstore-increment-1.db.crypt15` what came
/// after the newest, and the same with a date what came after an older one (`Specs/crypt15.md`).
struct LocalDump: Equatable {
    struct Day: Equatable {
        let year: Int
        let month: Int
        let day: Int
        let number: Int

        /// Days since 1970 in the proleptic Gregorian calendar (H. Hinnant, days_from_civil).
        var daysSince1970: Int {
            let year = month <= 2 ? year - 1 : year
            let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
            let era = year / 400
            let yearOfEra = year - era * 400
            return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        }
    }

    let isIncrement: Bool
    /// nil for the newest.
    let day: Day?
    /// 15 for `.crypt15`.
    let generation: Int

    /// nil if the name is no such backup's.
    init?(name: [UInt8]) {
        var rest = name[...]
        guard Self.take("msgstore", &rest) else { return nil }
        isIncrement = Self.take("-increment-", &rest)
        if isIncrement, Self.number(&rest, digits: 1...4) == nil { return nil }
        if Self.take("-", &rest) {
            guard let day = Self.day(&rest) else { return nil }
            self.day = day
        } else {
            day = nil
        }
        guard Self.take(".db.crypt", &rest), let generation = Self.number(&rest, digits: 1...2), rest.isEmpty
        else { return nil }
        self.generation = generation
    }

    /// As much of a file's beginning as `isSound` looks at.
    static let headBytes = BackupHeader.messageBytesMax + 3

    /// Whether a file begins as a backup of this kind does, and does not end in the zeros of a copy that was cut.
    ///
    /// - Parameters:
    ///   - head: its first bytes, `headBytes` of them or all there are.
    ///   - tail: its last bytes.
    func isSound(head: [UInt8], tail: [UInt8]) -> Bool {
        let kind: Int? =
            switch BackupHeader.read(head) {
            case .header: 15
            case .older(.crypt14): 14
            case .older(.crypt12): 12
            case .needsMore, .notABackup: nil
            }
        return kind == generation && tail.contains { $0 != 0 }
    }

    private static func day(_ rest: inout ArraySlice<UInt8>) -> Day? {
        guard let year = number(&rest, digits: 4...4), take("-", &rest), let month = number(&rest, digits: 2...2),
            (1...12).contains(month), take("-", &rest), let day = number(&rest, digits: 2...2),
            (1...31).contains(day), take(".", &rest), let number = number(&rest, digits: 1...4)
        else { return nil }
        return Day(year: year, month: month, day: day, number: number)
    }

    private static func take(_ text: String, _ rest: inout ArraySlice<UInt8>) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, digits: ClosedRange<Int>) -> Int? {
        let text = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard digits.contains(text.count) else { return nil }
        rest = rest.dropFirst(text.count)
        return text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}

/// Which of WhatsApp's own backups in a folder have been replaced by a newer one.
///
/// In doubt a backup counts as not replaced: then it is saved, which costs room and nothing else.
struct LocalDumps {
    struct File {
        let name: [UInt8]
        let bytes: UInt64
        let modifiedSeconds: Int64
        /// Whether it can be read and looks like a backup of its kind (`LocalDump.isSound`).
        let isSound: Bool
    }

    private static let daySeconds: Int64 = 86_400

    private let files: [(dump: LocalDump, file: File)]

    init(_ files: [File]) {
        self.files = files.compactMap { file in LocalDump(name: file.name).map { ($0, file) } }
    }

    var superseded: Set<[UInt8]> {
        let full = files.filter { !$0.dump.isIncrement && $0.file.isSound }
        let replaced = files.filter { old in
            !Self.stays(old.dump, beside: full.map(\.dump)) && full.contains { Self.replaces($0, old) }
        }
        return Set(replaced.map(\.file.name))
    }

    /// A dump may be broken where nobody sees it without the key: so the newest day stays, with its increments.
    private static func stays(_ old: LocalDump, beside full: [LocalDump]) -> Bool {
        guard let day = old.day else { return true }
        let newest = full.filter { $0.generation == old.generation }.compactMap { $0.day?.daysSince1970 }.max()
        return newest.map { day.daysSince1970 >= $0 } ?? false
    }

    private static func replaces(
        _ new: (dump: LocalDump, file: File), _ old: (dump: LocalDump, file: File)
    ) -> Bool {
        // Somebody who has the key of the newer kind need not have that of the older one, and the other way round.
        guard let oldDay = old.dump.day, new.dump.generation == old.dump.generation else { return false }
        // A copy that was cut replaces nothing.
        guard new.file.bytes >= old.file.bytes - old.file.bytes / 2 else { return false }
        guard let newDay = new.dump.day else {
            // The newest by its name alone may be one that was put there long before.
            return new.file.modifiedSeconds / daySeconds >= oldDay.daysSince1970
        }
        return newDay.daysSince1970 > oldDay.daysSince1970
    }
}
