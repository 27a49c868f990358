import ByteCoding
import CPKCS11

/// Which token is meant: no two of a maker have one serial number, and labels are what people call them.
package struct TokenName: Equatable, Sendable, CustomStringConvertible {
    package let label: String
    package let serial: String

    package init(label: String, serial: String) {
        self.label = label
        self.serial = serial
    }

    /// For people; a token may call itself anything.
    package var description: String { "The token \"\(label.printable)\" (serial number \(serial.printable))" }

    /// Whether it can be written into the vault's settings, a line each.
    package var isPlain: Bool { !serial.isEmpty && serial.printable == serial && label.printable == label }
}

/// What a token says of itself.
package struct TokenDescription: Equatable, Sendable {
    let slot: UInt
    package let name: TokenName
    package let manufacturer: String
    package let model: String
    package let isPINSet: Bool
    package let isPINLocked: Bool
    /// One more wrong PIN locks it.
    package let isFinalTry: Bool
    package let isWriteProtected: Bool

    init(slot: UInt, _ info: CK_TOKEN_INFO) {
        self.slot = slot
        name = TokenName(label: Self.text(info.label), serial: Self.text(info.serialNumber))
        manufacturer = Self.text(info.manufacturerID)
        model = Self.text(info.model)
        isPINSet = info.flags & CKF_USER_PIN_INITIALIZED != 0
        isPINLocked = info.flags & CKF_USER_PIN_LOCKED != 0
        isFinalTry = info.flags & CKF_USER_PIN_FINAL_TRY != 0
        isWriteProtected = info.flags & CKF_WRITE_PROTECTED != 0
    }

    /// A field of fixed size, padded with blanks.
    private static func text(_ field: some Any) -> String {
        withUnsafeBytes(of: field) { bytes in
            var end = bytes.count
            while end > 0, bytes[end - 1] == 0x20 || bytes[end - 1] == 0 { end -= 1 }
            return String(decoding: bytes[..<end], as: UTF8.self)
        }
    }
}

extension TokenName {
    /// Finds the token among those that are there. Another one of the same label is refused by name.
    func find(among tokens: [TokenDescription]) throws(TokenError) -> TokenDescription {
        let matching = tokens.filter { $0.name.serial == serial }
        guard let token = matching.first else {
            guard let other = tokens.first(where: { $0.name.label == label && !label.isEmpty }) else {
                throw TokenError(.absent, "\(self): \(TokenError.Kind.absent.meaning)")
            }
            throw TokenError(
                .absent,
                "\(self) is not there. The one that is there has the same label and the serial number "
                    + "\(other.name.serial.printable): it is another token, and nothing was asked of it.")
        }
        guard matching.count == 1 else {
            throw TokenError(
                .unfit, "\(self): there are \(matching.count) with this serial number. Leave one alone in place.")
        }
        guard token.name == self else {
            throw TokenError(
                .unfit,
                "\(self) calls itself \"\(token.name.label.printable)\" now: it was initialised anew, which destroyed what the "
                    + "vault had in it. Nothing was asked of it.")
        }
        return token
    }
}
