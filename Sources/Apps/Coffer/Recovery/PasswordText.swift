import Foundation
package import Primitives
import RecoveryProtocol

/// A password as people type it, on its way to bytes.
package enum PasswordText {
    package enum Refusal: Error, Equatable {
        case empty
        /// Longer than 1,024 bytes of UTF-8.
        case tooLong
        /// A code point that Unicode has not assigned: its normal form may change one day, and the password with it.
        case unassigned
    }

    /// Unicode's normal form C in UTF-8, so that two keyboards which compose letters otherwise type the same password.
    package static func bytes(_ text: String) throws(Refusal) -> SecretBytes {
        guard !text.isEmpty else { throw .empty }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .unassigned }) else {
            throw .unassigned
        }
        var bytes = Array(text.precomposedStringWithCanonicalMapping.utf8)
        guard Limits.passwordBytes.contains(bytes.count) else {
            bytes.wipe()
            throw .tooLong
        }
        return SecretBytes(wiping: &bytes)
    }
}
