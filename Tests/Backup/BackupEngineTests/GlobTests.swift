import BackupEngine
import TestSupport
import Testing

/// The rules once more, written to be read: tries everything.
private struct SlowGlob {
    private enum Piece { case character(Character), any, run, oneOf(Set<Character>, negated: Bool) }

    private let parts: [[Piece]?]
    private let isForFoldersAlone: Bool

    /// Of a pattern of letters, `*`, `?`, `/`, `[ab]` and `[!ab]`.
    init(_ text: String) {
        var text = text
        isForFoldersAlone = text.last == "/"
        if isForFoldersAlone { text.removeLast() }
        var names = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if names.count == 1 { names.insert("**", at: 0) } else if names[0] == "" { names.removeFirst() }
        if names.last == "**" { names.append("*") }
        parts = names.map { $0 == "**" ? nil : Self.pieces($0) }
    }

    private static func pieces(_ name: String) -> [Piece] {
        var pieces: [Piece] = []
        var rest = name[...]
        while let character = rest.popFirst() {
            switch character {
            case "*": pieces.append(.run)
            case "?": pieces.append(.any)
            case "[":
                let end = rest.firstIndex(of: "]") ?? rest.endIndex
                let inner = rest[..<end]
                rest = rest[end...].dropFirst()
                let isNegated = inner.first == "!"
                pieces.append(.oneOf(Set(isNegated ? inner.dropFirst() : inner), negated: isNegated))
            default: pieces.append(.character(character))
            }
        }
        return pieces
    }

    func matches(_ path: String, isFolder: Bool) -> Bool {
        (isFolder || !isForFoldersAlone) && Self.fit(parts[...], path.split(separator: "/").map(Array.init)[...])
    }

    private static func fit(_ parts: ArraySlice<[Piece]?>, _ names: ArraySlice<[Character]>) -> Bool {
        guard let part = parts.first else { return names.isEmpty }
        guard let pieces = part else {
            return (0...names.count).contains { fit(parts.dropFirst(), names.dropFirst($0)) }
        }
        guard let name = names.first else { return false }
        return fit(pieces[...], name[...]) && fit(parts.dropFirst(), names.dropFirst())
    }

    private static func fit(_ pieces: ArraySlice<Piece>, _ name: ArraySlice<Character>) -> Bool {
        guard let piece = pieces.first else { return name.isEmpty }
        if case .run = piece { return (0...name.count).contains { fit(pieces.dropFirst(), name.dropFirst($0)) } }
        guard let character = name.first else { return false }
        let fits =
            switch piece {
            case .character(let own): own == character
            case .oneOf(let set, let isNegated): set.contains(character) != isNegated
            case .any, .run: true
            }
        return fits && fit(pieces.dropFirst(), name.dropFirst())
    }
}

@Suite struct `A pattern` {
    @Test(arguments: [
        ("*.tmp", ["a.tmp", "b/c/a.tmp", ".tmp"], ["a.tmp.jpg", "a.TMP", "a.tmp/b", "atmp"]),
        ("Cache/**", ["Cache/a", "Cache/b/c"], ["Cache", "a/Cache/b", "cache/a"]),
        ("**/Cache/**", ["Cache/a", "x/y/Cache/a/b"], ["Cache", "x/Cache"]),
        ("/Media", ["Media"], ["a/Media", "Media/a"]),
        ("Media", ["Media", "a/Media"], ["Media/a", "Medias"]),
        ("a/*/c", ["a/b/c", "a/xx/c"], ["a/c", "a/b/b/c", "x/a/b/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["a", "c", "a/b/cc"]),
        ("**/x.db", ["x.db", "a/x.db", "a/b/x.db"], ["ax.db"]),
        ("?.jpg", ["a.jpg", "é.jpg", "🎉.jpg"], ["ab.jpg", ".jpg", "e\u{301}.jpg"]),
        ("[a-c][!x]?", ["abc", "x/cz."], ["axc", "dbc", "ab"]),
        ("[]]", ["]"], ["["]), ("[!]]", ["["], ["]"]), ("[a-]", ["-", "a"], ["b"]), ("[\\]x]", ["]", "x"], ["\\"]),
        ("\\*", ["*", "a/*"], ["a", "\\*"]), ("a**b", ["ab", "axxb"], ["a/b"]), ("*", ["a", "a/b"], []),
        ("IMG-202[3-4]*", ["IMG-2023-1.jpg"], ["IMG-2022.jpg"]), ("-rf", ["-rf"], ["rf"]),
    ])
    func `means what the manual says`(pattern: String, fitting: [String], others: [String]) throws {
        let glob = try Glob(pattern)
        for path in fitting { #expect(glob.matches(Array(path.utf8), isFolder: false), "\(path)") }
        for path in others { #expect(!glob.matches(Array(path.utf8), isFolder: false), "\(path)") }
    }

    @Test func `with a slash at its end is about folders`() throws {
        let glob = try Glob("Old/")
        #expect(glob.matches(Array("a/Old".utf8), isFolder: true))
        #expect(!glob.matches(Array("a/Old".utf8), isFolder: false))
        #expect(!(try Glob("/Old/")).matches(Array("a/Old".utf8), isFolder: true))
    }

    @Test func `takes names that are no text byte by byte`() throws {
        #expect(try Glob("a?c").matches([0x61, 0xff, 0x63], isFolder: false))
        #expect(try Glob("?").matches([0xe9], isFolder: false))
        #expect(try !Glob("?").matches([0xe9, 0xe9], isFolder: false))
        #expect(try Glob("*").matches([0xf0, 0x9f, 0x8e], isFolder: false))
        #expect(try Glob("[!a]").matches([0x80], isFolder: false))
    }

    @Test(arguments: [
        ("", GlobError.empty), ("/", .empty), ("//", .empty), ("a//b", .badName), ("[a", .badClass),
        ("[z-a]", .badClass),
        ("[", .badClass), ("[]", .badClass), ("[!]", .badClass), ("a\\", .danglingEscape), ("a/../b", .badName),
        ("./a", .badName), ("a\nb", .badName), ("[a\\", .badClass), ("a/b[/]", .badClass),
    ])
    func `that is none is refused`(pattern: String, error: GlobError) {
        #expect(throws: error) { _ = try Glob(pattern) }
    }

    @Test func `agrees with a slower reading of the rules`() throws {
        var generator = SeededGenerator(seed: 20_261_122)
        let pieces = ["a", "b", "a", "*", "?", "[ab]", "[!a]", "**", "/", "/", "ab"]
        var (matches, tried) = (0, 0)
        for _ in 0..<6_000 {
            let text = (0..<Int.random(in: 1...7, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined()
            guard let glob = try? Glob(text) else { continue }
            let slow = SlowGlob(text)
            for _ in 0..<12 {
                let names = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                    String(
                        (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                            "abc"["abc".index("abc".startIndex, offsetBy: Int.random(in: 0..<3, using: &generator))]
                        })
                }
                let (path, isFolder) = (names.joined(separator: "/"), Bool.random(using: &generator))
                let expected = slow.matches(path, isFolder: isFolder)
                #expect(glob.matches(Array(path.utf8), isFolder: isFolder) == expected, "\(text) and \(path)")
                tried += 1
                matches += expected ? 1 : 0
            }
        }
        #expect(matches > 2_000 && tried - matches > 2_000)
    }

    @Test func `takes no long time for any path`() throws {
        let glob = try Glob(String(repeating: "*a", count: 60) + "/" + String(repeating: "**/a*/", count: 20) + "b")
        let name = String(repeating: "a", count: 200)
        #expect(
            !glob.matches(Array(([String](repeating: name, count: 60)).joined(separator: "/").utf8), isFolder: true))
    }
}
