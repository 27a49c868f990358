package import ByteCoding
package import Primitives
package import RecoveryProtocol

/// What a witness keeps of one vault.
package struct WatchedVault: ByteCodable, Equatable, Sendable {
    package let identityKey: VerifyingKey
    package private(set) var held: SignedHead?

    package init(identityKey: VerifyingKey) { self.identityKey = identityKey }

    package var vaultID: VaultID { VaultID(identityKey: identityKey) }

    /// Takes a head that the vault signed, if its epoch is higher than that of the one held: so nobody moves a witness
    /// back, and of two heads for one epoch the first stays. True if it was taken.
    package mutating func take(_ head: SignedHead) -> Bool {
        guard head.head.epoch > held?.head.epoch ?? 0, head.isValid(by: identityKey) else { return false }
        held = head
        return true
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        identityKey = try VerifyingKey(from: &reader)
        held = try reader.optional { reader throws(ByteCodingError) in try SignedHead(from: &reader) }
        guard held?.isValid(by: identityKey) ?? true else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try identityKey.encode(into: &writer)
        try writer.optional(held) { held, writer throws(ByteCodingError) in try held.encode(into: &writer) }
    }
}
