package import BackupFormat
package import Primitives

/// A password on its way to the vaults' protocol; it does not print, and wipes itself.
public struct Password: Sendable {
    package let utf8: SecretBytes

    /// Takes the bytes over and wipes the array. One line end at the end, as editors leave it, is not part of it.
    public init(wiping bytes: inout [UInt8]) throws(CofferError) {
        let end = bytes.last == 0x0a ? bytes.dropLast().last == 0x0d ? 2 : 1 : 0
        let count = bytes.count - end
        guard count > 0 else {
            throw CofferError(.badPassword, "The password is empty.", advice: "Type at least one character.")
        }
        utf8 = SecretBytes(count: count) { $0.copyBytes(from: bytes[..<count]) }
        bytes.wipe()
    }

    package init(utf8: SecretBytes) { self.utf8 = utf8 }

    public func isEqual(to other: Password) -> Bool { utf8.isEqual(to: other.utf8) }
}

/// The backup key as a person holds it: 64 hexadecimal digits in 16 groups of 4, and 2 groups that check them.
public struct SixtyFourDigitKey: Sendable {
    package let key: BackupKey

    package init(_ key: BackupKey) { self.key = key }

    /// Reads the digits in any spacing and case, with or without the check groups; takes the bytes over and wipes the array.
    public init(wiping text: inout [UInt8]) throws(CofferError) {
        let secret = SecretBytes(wiping: &text)
        do {
            key = try BackupKey(digits: secret)
        } catch {
            throw CofferError(malformed: error)
        }
    }

    /// The 18 groups, to be shown to the person and to nobody else.
    public func revealGroups() -> [String] { key.revealGroups() }

    public func isEqual(to other: SixtyFourDigitKey) -> Bool { key.secret.isEqual(to: other.key.secret) }
}
