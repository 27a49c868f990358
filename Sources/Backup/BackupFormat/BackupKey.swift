package import Primitives

/// The backup key K: 256 random bits under which a person's backups are encrypted (section 2).
package struct BackupKey: Sendable {
    package static let byteCount = 32

    package let secret: SecretBytes

    package init(secret: SecretBytes) throws(BackupKeyError) {
        guard secret.count == Self.byteCount else { throw .length(digits: secret.count * 2) }
        self.secret = secret
    }

    private init(random: SecretBytes) { secret = random }

    package static func random(using generator: inout some RandomNumberGenerator) -> BackupKey {
        BackupKey(random: .random(byteCount, using: &generator))
    }

    /// Reads the 64-digit key, with or without its two check groups: either case; spaces, tabs, line ends and hyphens anywhere.
    ///
    /// The errors name places as a person counts them, and never a digit.
    package init(digits text: SecretBytes) throws(BackupKeyError) {
        self.init(random: try text.withBytes { text throws(BackupKeyError) in try WrittenKey(text: text).key() })
    }

    /// The 64 digits, as a device keeps them.
    package func revealDigits() -> String { WrittenKey(secret).reveal().prefix(WrittenKey.keyGroupCount).joined() }

    /// The 18 groups of 4 digits: 16 of the key and 2 that check them. For the one place where a person is shown the key.
    package func revealGroups() -> [String] { WrittenKey(secret).reveal() }
}

/// Why a text is not a 64-digit key. Groups are counted from 1 to 18, positions from 1 to 4.
package enum BackupKeyError: Error, Equatable {
    /// Neither a digit 0–9 nor a letter a–f.
    case character(group: Int, position: Int)
    /// Neither 64 digits nor 72.
    case length(digits: Int)
    /// One group is wrong, at these positions; two or more wrong ones look so in one case of 4,000.
    case mistyped(group: Int, positions: [Int])
    /// This group and the next one changed places.
    case swapped(firstGroup: Int)
    /// There are 17 groups, and this one is missing.
    case leftOut(group: Int)
    /// More than one group is wrong.
    case severalGroups
}
