/// Why a text is not a pattern.
package enum GlobError: Error, Equatable, Sendable {
    case empty
    /// A `[` without its `]`, or a range that ends before it begins.
    case badClass
    /// A `\` at the end.
    case danglingEscape
    /// An empty name, `.` or `..` between slashes, or a line end.
    case badName
}

/// A pattern for names, in the manner of shells and of git's ignore files.
///
/// `*` is any run of characters, `?` one, `[a-z]` one of these, `[!a-z]` one of all others, `\` takes the next one as it is; none of
/// them is ever a `/`. Without a `/` a pattern is about names in any folder, with one about whole paths from the top,
/// in which `**` for a name is any number of folders, and at the end everything in a folder. With a `/` at its end it is about folders alone.
///
/// Names are bytes: where they are UTF-8 a character is a code point, elsewhere a byte. Case counts, and nothing is normalised.
package struct Glob: Equatable, Sendable {
    fileprivate enum Unit: Equatable, Sendable {
        case one(UInt32)
        case any
        case anyRun
        case oneOf([ClosedRange<UInt32>], isNegated: Bool)
    }

    private enum Part: Equatable, Sendable {
        case name([Unit])
        case anyFolders
    }

    package let text: String
    private let parts: [Part]
    private let isForFoldersAlone: Bool

    package init(_ text: String) throws(GlobError) {
        self.text = text
        var body = Self.characters(Array(text.utf8)[...])
        let slash = UInt32(UInt8(ascii: "/"))
        let newline = UInt32(UInt8(ascii: "\n"))
        guard !body.isEmpty else { throw .empty }
        guard !body.contains(0), !body.contains(newline) else { throw .badName }
        isForFoldersAlone = body.last == slash
        if isForFoldersAlone { body.removeLast() }
        let isAnchored = body.contains(slash)
        if body.first == slash { body.removeFirst() }
        guard !body.isEmpty else { throw .empty }
        var parts: [Part] = isAnchored ? [] : [.anyFolders]
        let names = body.split(separator: slash, omittingEmptySubsequences: false)
        let star = UInt32(UInt8(ascii: "*"))
        for name in names {
            if name.elementsEqual([star, star]) {
                parts.append(.anyFolders)
            } else {
                let dot = UInt32(UInt8(ascii: "."))
                guard !name.isEmpty, !name.elementsEqual([dot]), !name.elementsEqual([dot, dot]) else { throw .badName }
                parts.append(.name(try Self.units(of: Array(name))))
            }
        }
        // What is in a folder, not the folder itself.
        if parts.last == .anyFolders { parts.append(.name([.anyRun])) }
        self.parts = parts
    }

    /// - Parameter path: names with `/` between them.
    package func matches(_ path: [UInt8], isFolder: Bool) -> Bool {
        guard isFolder || !isForFoldersAlone else { return false }
        let names: [[UInt32]] = path.split(separator: UInt8(ascii: "/")).map { Self.characters($0) }
        return Self.matches(parts[...], names[...], isRun: { $0 == .anyFolders }, isMatch: Self.matchesName)
    }

    private static func matchesName(_ part: Part, _ name: [UInt32]) -> Bool {
        guard case .name(let units) = part else { return false }
        return matches(units[...], name[...], isRun: { $0 == .anyRun }, isMatch: { $0.takes($1) })
    }

    /// Whether a sequence is as a pattern says, in which a run takes any number of elements. When the rest does not fit, the last
    /// run takes one more: earlier ones need not, for what they could take the last one can.
    private static func matches<Pattern, Element>(
        _ pattern: ArraySlice<Pattern>, _ elements: ArraySlice<Element>, isRun: (Pattern) -> Bool,
        isMatch: (Pattern, Element) -> Bool
    ) -> Bool {
        var (place, position) = (pattern.startIndex, elements.startIndex)
        var lastRun: (place: Int, position: Int)?
        while position < elements.endIndex {
            if place < pattern.endIndex, isRun(pattern[place]) {
                lastRun = (place, position)
                place += 1
            } else if place < pattern.endIndex, isMatch(pattern[place], elements[position]) {
                place += 1
                position += 1
            } else if let run = lastRun {
                lastRun = (run.place, run.position + 1)
                (place, position) = (run.place + 1, run.position + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy(isRun)
    }

    // MARK: Reading a pattern

    private static func units(of name: [UInt32]) throws(GlobError) -> [Unit] {
        var units: [Unit] = []
        var place = 0
        while place < name.count {
            let character = name[place]
            place += 1
            switch character {
            case UInt32(UInt8(ascii: "*")): if units.last != .anyRun { units.append(.anyRun) }
            case UInt32(UInt8(ascii: "?")): units.append(.any)
            case UInt32(UInt8(ascii: "\\")):
                guard place < name.count else { throw .danglingEscape }
                units.append(.one(name[place]))
                place += 1
            case UInt32(UInt8(ascii: "[")): units.append(try oneOf(name, &place))
            default: units.append(.one(character))
            }
        }
        return units
    }

    /// - Parameter place: behind the `[`, and then behind the `]`, which may be the first of the characters.
    private static func oneOf(_ name: [UInt32], _ place: inout Int) throws(GlobError) -> Unit {
        let marks = [UInt32(UInt8(ascii: "!")), UInt32(UInt8(ascii: "^"))]
        let isNegated = place < name.count && marks.contains(name[place])
        if isNegated { place += 1 }
        var ranges: [ClosedRange<UInt32>] = []
        while place < name.count, name[place] != UInt32(UInt8(ascii: "]")) || ranges.isEmpty {
            let first = try classCharacter(name, &place)
            var last = first
            if place + 1 < name.count, name[place] == UInt32(UInt8(ascii: "-")),
                name[place + 1] != UInt32(UInt8(ascii: "]"))
            {
                place += 1
                last = try classCharacter(name, &place)
            }
            guard first <= last else { throw .badClass }
            ranges.append(first...last)
        }
        guard place < name.count else { throw .badClass }
        place += 1
        return .oneOf(ranges, isNegated: isNegated)
    }

    private static func classCharacter(_ name: [UInt32], _ place: inout Int) throws(GlobError) -> UInt32 {
        if name[place] == UInt32(UInt8(ascii: "\\")) { place += 1 }
        guard place < name.count else { throw .badClass }
        defer { place += 1 }
        return name[place]
    }

    /// The code points of UTF-8, and above all code points the bytes that are none.
    private static func characters(_ bytes: ArraySlice<UInt8>) -> [UInt32] {
        var characters: [UInt32] = []
        characters.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.first {
            let count = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
            if byte < 0x80 {
                characters.append(UInt32(byte))
                rest = rest.dropFirst()
            } else if let text = String(validating: rest.prefix(count), as: UTF8.self), text.unicodeScalars.count == 1,
                let scalar = text.unicodeScalars.first
            {
                characters.append(scalar.value)
                rest = rest.dropFirst(count)
            } else {
                characters.append(0x11_0000 + UInt32(byte))
                rest = rest.dropFirst()
            }
        }
        return characters
    }
}

extension Glob.Unit {
    fileprivate func takes(_ character: UInt32) -> Bool {
        switch self {
        case .one(let own): own == character
        case .any: true
        case .anyRun: false
        case .oneOf(let ranges, let isNegated): ranges.contains { $0.contains(character) } != isNegated
        }
    }
}
