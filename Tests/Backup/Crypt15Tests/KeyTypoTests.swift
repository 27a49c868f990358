import Crypt15
import Primitives
import TestSupport
import Testing

/// No two groups are equal, nor two neighbours, so that every error is one and only one.
private let right = "0123456789abcdef2143658709badcfe31425364758697a8b9cadbec0d1e2f40"

private func key(_ digits: String) throws -> RootKey { try RootKey.read(SecretBytes(copying: digits.utf8)).key }

/// What the search says of typed digits if one key alone is right.
private func found(_ typed: String, right: String = right) throws -> (typo: KeyTypo?, key: RootKey)? {
    let rightKey = try key(right)
    return try TypedDigits(SecretBytes(copying: typed.utf8)).search { $1.secret.isEqual(to: rightKey.secret) }
}

private func changed(_ body: (inout [Character]) -> Void) -> String {
    var digits = Array(right)
    body(&digits)
    return String(digits)
}

@Suite struct `A tag` {
    @Test func `tells of every vector whether the key opens it, in pieces of any size`() throws {
        for (name, file) in try Vectors.files() {
            let bytes = try Vectors.bytes(name)
            guard let header = HeadProbe(start: bytes)?.header else { continue }
            for (key, verdict) in [
                (try Vectors.rootKey(), file.verdict), (try Vectors.wrongKey(), file.verdictWrongKey),
            ] {
                for pieceBytes in [1, 15, 33, 1 << 20] where bytes.count < 5_000 || pieceBytes > 1_000 {
                    let reader = try TagReader(header, key: key)
                    bytes.withUnsafeBytes { bytes in
                        for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
                            reader.feed(.init(rebasing: bytes[start..<min(start + pieceBytes, bytes.count)]))
                        }
                    }
                    #expect(reader.finish() == (verdict?.hasPrefix("ok") == true), "\(name) \(pieceBytes)")
                }
            }
        }
    }
}

@Suite struct `A typing error in the 64 digits` {
    @Test func `is none if there is none`() throws {
        let result = try #require(try found(right))
        #expect(result.typo == nil)
    }

    @Test func `is found wherever a digit is wrong`() throws {
        for place in stride(from: 0, to: 64, by: 7) {
            for digit in ["0", "f"] as [Character] where Array(right)[place] != digit {
                let result = try #require(try found(changed { $0[place] = digit }))
                #expect(result.typo == .digit(group: place / 4 + 1, position: place % 4 + 1))
                #expect(try result.key.secret.isEqual(to: key(right).secret))
            }
        }
    }

    @Test func `is found at every place where two neighbours can change theirs`() throws {
        for place in 0..<63 {
            let result = try #require(try found(changed { $0.swapAt(place, place + 1) }))
            #expect(result.typo == .swappedDigits(group: place / 4 + 1, position: place % 4 + 1))
            #expect(try result.key.secret.isEqual(to: key(right).secret))
        }
    }

    @Test func `is found where two groups changed places`() throws {
        for first in 0..<16 {
            for second in stride(from: first + 1, to: 16, by: 4) {
                let typed = changed { digits in
                    for position in 0..<4 { digits.swapAt(first * 4 + position, second * 4 + position) }
                }
                let result = try #require(try found(typed))
                #expect(result.typo == .swappedGroups(first + 1, second + 1))
                #expect(try result.key.secret.isEqual(to: key(right).secret))
            }
        }
    }

    @Test func `is found where columns were read for rows`() throws {
        let groups = stride(from: 0, to: 64, by: 4).map { String(Array(right)[$0..<$0 + 4]) }
        let typed = (0..<16).map { groups[$0 % 4 * 4 + $0 / 4] }.joined()
        let result = try #require(try found(typed))
        #expect(result.typo == .columns && result.typo?.groups == Array(1...16))
        #expect(try result.key.secret.isEqual(to: key(right).secret))
    }

    @Test func `is found at every place where a digit can be missing`() throws {
        for place in 0..<64 {
            let result = try #require(try found(changed { $0.remove(at: place) }))
            #expect(result.typo == .missingDigit(group: place / 4 + 1, position: place % 4 + 1))
            #expect(try result.key.secret.isEqual(to: key(right).secret))
        }
    }

    @Test func `is found where a digit or a group stands there twice`() throws {
        for place in 0..<64 {
            let result = try #require(try found(changed { $0.insert($0[place], at: place) }))
            #expect(result.typo == .doubledDigit(group: place / 4 + 1, position: place % 4 + 1))
            #expect(try result.key.secret.isEqual(to: key(right).secret))
        }
        for group in 0..<16 {
            let result = try #require(
                try found(changed { $0.insert(contentsOf: Array($0[group * 4..<group * 4 + 4]), at: group * 4) }))
            #expect(result.typo == .doubledGroup(group + 1))
            #expect(try result.key.secret.isEqual(to: key(right).secret))
            // One that stands nowhere else does not stand there twice.
            let other = try #require(try found(changed { $0.insert(contentsOf: "ffff", at: group * 4) }))
            #expect(other.typo == .extraGroup(group + 1))
            #expect(try other.key.secret.isEqual(to: key(right).secret))
        }
    }

    @Test func `is not found where there are two, or where the key is another`() throws {
        #expect(try found(changed { ($0[0], $0[63]) = ("f", "f") }) == nil)
        var generator = SeededGenerator(seed: 7)
        for count in [63, 64, 65, 68] {
            let typed = String((0..<count).map { _ in "0123456789abcdef".randomElement(using: &generator) ?? "0" })
            #expect(try found(typed) == nil)
        }
    }

    @Test func `of another length or character is refused before anything is tried`() throws {
        for count in [0, 1, 60, 62, 66, 67, 69, 72, 100] {
            #expect(throws: RootKeyError.length(digits: count)) {
                try TypedDigits(SecretBytes(copying: String(repeating: "a", count: count).utf8))
            }
        }
        #expect(throws: RootKeyError.character(group: 1, position: 3)) {
            try TypedDigits(SecretBytes(copying: "12x4".utf8))
        }
    }

    @Test func `is searched for in no more than so many keys`() throws {
        // Each costs a derivation and half a kilobyte of decryption.
        for (count, triesMax) in [(63, 64 * 16), (64, 1 + 64 * 15 + 63 + 120 + 1), (65, 65), (68, 17)] {
            var tries = 0
            let typed = SecretBytes(copying: right.utf8.prefix(count) + Array("abcd".utf8.prefix(max(0, count - 64))))
            let result = try TypedDigits(typed).search { _, _ in
                tries += 1
                return false
            }
            #expect(result == nil && tries <= triesMax && tries > triesMax / 2)
        }
    }

    @Test func `is found with one's own backup, and with a foreign one never`() throws {
        let rightKey = try Vectors.rootKey()
        let digits = rightKey.revealGroups().joined()
        var typed = Array(digits)
        typed[21] = typed[21] == "0" ? "1" : "0"
        let text = SecretBytes(copying: String(typed).utf8)
        for (name, isOwn) in [("c-2026-msgstore.db.crypt15", true), ("neg-flip-ct.crypt15", false)] {
            let bytes = try Vectors.bytes(name)
            let probe = try #require(HeadProbe(start: bytes))
            let result = try TypedDigits(text).search { _, key in
                guard try probe.fits(key) else { return false }
                let reader = try TagReader(probe.header, key: key)
                bytes.withUnsafeBytes { reader.feed($0) }
                return reader.finish()
            }
            #expect(result?.typo == (isOwn ? .digit(group: 6, position: 2) : nil))
        }
        // Another account's file, of the same content.
        let probe = try #require(HeadProbe(start: try Vectors.bytes("a-2022-msgstore.db.crypt15")))
        var other = Array(digits)
        (other[0], other[9], other[30]) = ("9", "9", "9")
        #expect(try TypedDigits(SecretBytes(copying: String(other).utf8)).search { try probe.fits($1) } == nil)
    }
}
