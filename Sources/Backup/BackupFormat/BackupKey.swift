import ByteCoding
package import Primitives

/// The backup key K: 256 random bits under which a person's backups are encrypted (section 2).
package struct BackupKey: Sendable {
    package static let byteCount = 32
    package static let digitCount = 64
    package static let digitsPerGroup = 4

    package let secret: SecretBytes

    package init(secret: SecretBytes) throws(BackupKeyError) {
        guard secret.count == Self.byteCount else { throw .length(digits: secret.count * 2) }
        self.secret = secret
    }

    private init(random: SecretBytes) { secret = random }

    package static func random(using generator: inout some RandomNumberGenerator) -> BackupKey {
        BackupKey(random: .random(byteCount, using: &generator))
    }

    /// Reads the 64-digit key: either case; spaces, tabs, line ends and hyphens anywhere.
    ///
    /// The error names the place of the first wrong character as a person counts it, and never the character itself.
    package init(digits text: SecretBytes) throws(BackupKeyError) {
        var bytes = try text.withBytes { text throws(BackupKeyError) in try Self.parse(text) }
        self.init(random: SecretBytes(wiping: &bytes))
    }

    private static func parse(_ text: UnsafeRawBufferPointer) throws(BackupKeyError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var digits = 0
        for character in text where !isSeparator(character) {
            guard let value = Hex.value(character) else {
                bytes.wipe()
                throw .character(group: digits / digitsPerGroup + 1, position: digits % digitsPerGroup + 1)
            }
            if digits < digitCount {
                bytes[digits / 2] |= digits.isMultiple(of: 2) ? value << 4 : value
            }
            digits += 1
        }
        guard digits == digitCount else {
            bytes.wipe()
            throw .length(digits: digits)
        }
        return bytes
    }

    private static func isSeparator(_ character: UInt8) -> Bool {
        switch character {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "-"): true
        default: false
        }
    }

    /// The 16 groups of 4 digits. For the one place where a person is shown the key.
    package func revealGroups() -> [String] {
        secret.withBytes { bytes in
            stride(from: 0, to: bytes.count, by: 2).map { Hex.encode(bytes[$0..<$0 + 2]) }
        }
    }
}

/// Why a text is not a 64-digit key.
package enum BackupKeyError: Error, Equatable {
    /// Neither a digit 0–9 nor a letter a–f; group from 1 to 16 (or beyond), position from 1 to 4.
    case character(group: Int, position: Int)
    /// Not 64 digits.
    case length(digits: Int)
}
