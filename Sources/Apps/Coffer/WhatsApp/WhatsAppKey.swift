package import Crypt15
import Primitives

/// The key of one account's WhatsApp backups, as a person holds it: 64 digits, the file `encrypted_backup.key`, or 32 bytes.
public struct WhatsAppKey: Sendable {
    package let root: RootKey

    package init(_ root: RootKey) { self.root = root }

    /// Reads the digits in any spacing and case, the file's 59 bytes, or 32 bytes as they are; takes the bytes over and wipes the array.
    public init(wiping input: inout [UInt8]) throws(CofferError) {
        let secret = SecretBytes(wiping: &input)
        do throws(RootKeyError) {
            root = try RootKey.read(secret).key
        } catch {
            throw CofferError(notWhatsAppKey: error)
        }
    }
}

extension CofferError {
    init(notWhatsAppKey error: RootKeyError) {
        let forms =
            "It is 64 digits (0 to 9, a to f, in any spacing), the file encrypted_backup.key of 59 bytes, or 32 bytes as they are."
        switch error {
        case .empty:
            self.init(.malformedKey, "There is no key: what was given is empty.", advice: forms)
        case .character(let group, let position):
            self.init(
                .malformedKey, "The 64-digit key has a wrong character in group \(group), position \(position).",
                advice: "The key consists of the digits 0 to 9 and the letters a to f. Look at that group again.")
        case .length(let digits):
            self.init(
                .malformedKey, "The key has \(digits) digits instead of 64.",
                advice: "Compare group by group with what WhatsApp showed: 16 groups of 4.")
        case .neitherTextNorKey(let bytes):
            self.init(.malformedKey, "This is no key: \(bytes) bytes that are no text.", advice: forms)
        case .olderKeyFile:
            self.init(
                .malformedKey,
                "This is the file `key` of crypt12 to crypt14 backups. It does not open end-to-end encrypted ones (.crypt15).",
                advice: "What opens those is the 64-digit key, or the file encrypted_backup.key of the phone.")
        case .otherJavaFile(let bytes):
            self.init(
                .malformedKey, "This looks like a key file of WhatsApp, but has \(bytes) bytes instead of 59.",
                advice: "Copy encrypted_backup.key from the phone again.")
        case .passwordCheck:
            self.init(
                .malformedKey,
                "This is WhatsApp's check of the backup password (password_data.key). The key cannot be computed from it.",
                advice: "What is needed is encrypted_backup.key from the same folder of the phone, or the 64 digits.")
        }
    }

    init(_ error: MissingLibrary) {
        self.init(
            .libraryMissing, "\(error.name) is not on this machine. Nothing was changed.",
            advice: "WhatsApp's files need OpenSSL 3 and ISA-L: on Debian, apt-get install libssl3 libisal2.")
    }
}
