package import Primitives

/// A typing error in the 64 digits. Groups are counted from 1 to 16, positions in them from 1 to 4.
package enum KeyTypo: Equatable, Sendable {
    case digit(group: Int, position: Int)
    /// This digit and the one behind it, which may be the first of the next group.
    case swappedDigits(group: Int, position: Int)
    case swappedGroups(Int, Int)
    /// The grid of 4 × 4 groups was read column by column.
    case columns
    case missingDigit(group: Int, position: Int)
    /// One digit too many: the second of two.
    case doubledDigit(group: Int, position: Int)
    case doubledGroup(Int)
    /// One group too many, which stands nowhere else.
    case extraGroup(Int)

    /// Which groups of the right key are not as they were typed; behind a digit that is missing or doubled all others are, but
    /// only one needs a look.
    package var groups: [Int] {
        switch self {
        case .digit(let group, _), .missingDigit(let group, _), .doubledDigit(let group, _), .doubledGroup(let group),
            .extraGroup(let group):
            [group]
        case .swappedDigits(let group, let position): position == 4 ? [group, group + 1] : [group]
        case .swappedGroups(let first, let second): [first, second]
        case .columns: Array(1...16)
        }
    }
}

/// The digits as they were typed, one more or less than there should be included.
package struct TypedDigits: Sendable {
    private static let digitCount = 64
    private static let groupDigits = 4

    /// One byte for each digit.
    private let values: SecretBytes

    /// - Parameter text: as `RootKey.read` takes it.
    /// - Throws: `character`, or `length` where the number of digits is that of no error that is looked for.
    package init(_ text: SecretBytes) throws(RootKeyError) {
        values = try text.withBytes { text throws(RootKeyError) in
            var reader = DigitReader(text, digitsMax: Self.digitCount + Self.groupDigits)
            return try reader.typed()
        }
        let isKnown = [
            Self.digitCount - 1, Self.digitCount, Self.digitCount + 1, Self.digitCount + Self.groupDigits,
        ].contains(values.count)
        guard isKnown else { throw .length(digits: values.count) }
    }

    /// Whether there are as many as a key has.
    package var isComplete: Bool { values.count == Self.digitCount }

    /// Goes through the keys that may be meant, the likeliest first: the digits as they are, and then with each of the errors that
    /// people make, one at a time.
    ///
    /// - Parameter isRight: ends the search if it says so.
    /// - Returns: what was wrong, nil for nothing, and the right key; nil if none is right.
    package func search<Failure: Error>(
        _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
    ) throws(Failure) -> (typo: KeyTypo?, key: RootKey)? {
        var trial = Trial(values)
        defer { trial.wipe() }
        switch values.count {
        case Self.digitCount: return try trial.searchComplete(isRight)
        case Self.digitCount - 1: return try trial.searchMissing(isRight)
        case Self.digitCount + 1: return try trial.searchDoubled(1, isRight)
        default: return try trial.searchDoubled(Self.groupDigits, isRight)
        }
    }

    /// Digits that are changed, tried, and changed back.
    private struct Trial {
        private var digits: [UInt8]

        init(_ values: SecretBytes) {
            digits = []
            // So that nothing is copied to another place when a digit is put in.
            digits.reserveCapacity(2 * TypedDigits.digitCount)
            values.withBytes { digits += $0 }
        }

        mutating func wipe() { digits.wipe() }

        private static func place(_ index: Int) -> (group: Int, position: Int) {
            (index / TypedDigits.groupDigits + 1, index % TypedDigits.groupDigits + 1)
        }

        typealias Found = (typo: KeyTypo?, key: RootKey)

        private func attempt<Failure: Error>(
            _ typo: KeyTypo?, _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            guard let key = RootKey(digits: digits), try isRight(typo, key) else { return nil }
            return (typo, key)
        }

        mutating func searchComplete<Failure: Error>(
            _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            if let found = try attempt(nil, isRight) { return found }
            if let found = try searchDigits(isRight) { return found }
            if let found = try searchSwappedDigits(isRight) { return found }
            if let found = try searchSwappedGroups(isRight) { return found }
            transpose()
            defer { transpose() }
            return try attempt(.columns, isRight)
        }

        private mutating func searchDigits<Failure: Error>(
            _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            for index in digits.indices {
                let typed = digits[index]
                defer { digits[index] = typed }
                for value in UInt8(0)..<16 where value != typed {
                    digits[index] = value
                    let (group, position) = Self.place(index)
                    if let found = try attempt(.digit(group: group, position: position), isRight) { return found }
                }
            }
            return nil
        }

        private mutating func searchSwappedDigits<Failure: Error>(
            _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            for index in digits.indices.dropLast() where digits[index] != digits[index + 1] {
                digits.swapAt(index, index + 1)
                defer { digits.swapAt(index, index + 1) }
                let (group, position) = Self.place(index)
                if let found = try attempt(.swappedDigits(group: group, position: position), isRight) { return found }
            }
            return nil
        }

        private mutating func searchSwappedGroups<Failure: Error>(
            _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            for first in 0..<16 {
                for second in first + 1..<16 {
                    swapGroups(first, second)
                    defer { swapGroups(first, second) }
                    if let found = try attempt(.swappedGroups(first + 1, second + 1), isRight) { return found }
                }
            }
            return nil
        }

        private mutating func swapGroups(_ first: Int, _ second: Int) {
            for position in 0..<TypedDigits.groupDigits {
                digits.swapAt(first * TypedDigits.groupDigits + position, second * TypedDigits.groupDigits + position)
            }
        }

        private mutating func transpose() {
            for row in 0..<4 {
                for column in row + 1..<4 { swapGroups(row * 4 + column, column * 4 + row) }
            }
        }

        /// One of 63 digits and 64 places.
        mutating func searchMissing<Failure: Error>(
            _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            // At the front, and from there to the end: nothing moves but one digit at a time.
            digits.insert(0, at: 0)
            for index in digits.indices {
                for value in UInt8(0)..<16 {
                    // Before an equal digit it is the same key as behind it.
                    if index + 1 < digits.count, digits[index + 1] == value { continue }
                    digits[index] = value
                    let (group, position) = Self.place(index)
                    if let found = try attempt(.missingDigit(group: group, position: position), isRight) {
                        return found
                    }
                }
                if index + 1 < digits.count { digits[index] = digits[index + 1] }
            }
            return nil
        }

        private func isElsewhere(_ group: Range<Int>) -> Bool {
            stride(from: 0, to: digits.count, by: group.count).contains { place in
                place != group.lowerBound && digits[place..<place + group.count].elementsEqual(digits[group])
            }
        }

        /// So many digits too many, which stand as a whole group does.
        mutating func searchDoubled<Failure: Error>(
            _ count: Int, _ isRight: (KeyTypo?, RootKey) throws(Failure) -> Bool
        ) throws(Failure) -> Found? {
            for index in stride(from: 0, to: digits.count, by: count) {
                var rest = digits
                defer { rest.wipe() }
                rest.removeSubrange(index..<index + count)
                let (group, position) = Self.place(min(index, TypedDigits.digitCount - 1))
                let typo: KeyTypo =
                    count == 1
                    ? .doubledDigit(group: group, position: position)
                    : isElsewhere(index..<index + count) ? .doubledGroup(group) : .extraGroup(group)
                guard let key = RootKey(digits: rest), try isRight(typo, key) else { continue }
                return (typo, key)
            }
            return nil
        }
    }
}
