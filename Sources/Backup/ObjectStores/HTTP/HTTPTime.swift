/// A time of day in the forms that HTTP and AWS write (RFC 9110, section 5.6.7; ISO 8601), always UTC, from 1970 on.
package struct HTTPTime: Equatable, Sendable {
    package var year = 1970
    package var month = 1
    package var day = 1
    package var hour = 0
    package var minute = 0
    package var second = 0

    /// - Parameter seconds: since 1970.
    package init(seconds: UInt64) {
        let days = Int(clamping: seconds / 86_400)
        let rest = Int(seconds % 86_400)
        (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60)
        // Days from 1 March of the year 0, since a leap day is then the last one of its year.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`; nil for anything else.
    package init?(httpDate text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]),
            let month = Self.months.firstIndex(of: String(parts[2])), let year = Int(parts[3])
        else { return nil }
        let clock = parts[4].split(separator: ":").map { Int($0) ?? -1 }
        guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...60).contains(clock[2]),
            (1...31).contains(day), (1970...9_999).contains(year)
        else { return nil }
        (self.year, self.month, self.day) = (year, month + 1, day)
        (hour, minute, second) = (clock[0], clock[1], clock[2])
    }

    /// Since 1970.
    package var seconds: UInt64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return UInt64(clamping: days * 86_400 + hour * 3_600 + minute * 60 + second)
    }

    /// `20130524`
    package var basicDate: String { Self.digits(year, 4) + Self.digits(month, 2) + Self.digits(day, 2) }

    /// `20130524T000000Z`
    package var basicTime: String {
        "\(basicDate)T\(Self.digits(hour, 2))\(Self.digits(minute, 2))\(Self.digits(second, 2))Z"
    }

    /// `2013-05-24T00:00:00.000Z` (RFC 3339).
    package var internetTime: String {
        let date = [Self.digits(year, 4), Self.digits(month, 2), Self.digits(day, 2)].joined(separator: "-")
        let time = [Self.digits(hour, 2), Self.digits(minute, 2), Self.digits(second, 2)].joined(separator: ":")
        return "\(date)T\(time).000Z"
    }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
