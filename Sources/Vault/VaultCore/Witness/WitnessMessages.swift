package import ByteCoding
package import Primitives
package import RecoveryProtocol

/// A vault's head as its witnesses see it, with the vault's signature.
package struct SignedHead: ByteCodable, Hashable, Sendable {
    package let vaultID: VaultID
    package let head: AnchoredHead
    package let signature: Signature

    package init(
        _ head: AnchoredHead, of vaultID: VaultID, signedBy identity: SigningKey
    ) throws(ByteCodingError) {
        self.vaultID = vaultID
        self.head = head
        signature = identity.sign(try Self.signed(vaultID, head))
    }

    package func isValid(by identityKey: VerifyingKey) -> Bool {
        guard let signed = try? Self.signed(vaultID, head) else { return false }
        return vaultID == VaultID(identityKey: identityKey) && identityKey.isValid(signature, over: signed)
    }

    private static func signed(_ vaultID: VaultID, _ head: AnchoredHead) throws(ByteCodingError) -> [UInt8] {
        try labelled(.signHead, vaultID.encoded() + head.encoded())
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        vaultID = try VaultID(from: &reader)
        head = try AnchoredHead(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try vaultID.encode(into: &writer)
        try head.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}

/// Random, new for each question: an answer that was recorded earlier does not pass for one to this.
package struct WitnessNonce: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// What a vault sends: a head to be remembered, or nothing but the question which one is.
package struct WitnessRequest: ByteCodable, Equatable, Sendable {
    package let vaultID: VaultID
    package let nonce: WitnessNonce
    package let head: SignedHead?

    private static let version: UInt8 = 1
    /// The longest encoding.
    package static let bytesMax = 256

    package init(vaultID: VaultID, nonce: WitnessNonce, head: SignedHead? = nil) {
        self.vaultID = vaultID
        self.nonce = nonce
        self.head = head
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard try reader.uint8() == Self.version else { throw .invalidValue }
        vaultID = try VaultID(from: &reader)
        nonce = try WitnessNonce(from: &reader)
        head = try reader.optional { reader throws(ByteCodingError) in try SignedHead(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(Self.version)
        try vaultID.encode(into: &writer)
        try nonce.encode(into: &writer)
        try writer.optional(head) { head, writer throws(ByteCodingError) in try head.encode(into: &writer) }
    }
}

/// The newest head that the witness remembers, after what the request asked, signed over vault, head and nonce.
package struct WitnessAnswer: ByteCodable, Equatable, Sendable {
    package let held: SignedHead?
    package let signature: Signature

    /// The longest encoding.
    package static let bytesMax = 256

    package init(
        to request: WitnessRequest, held: SignedHead?, signedBy witness: SigningKey
    ) throws(ByteCodingError) {
        self.held = held
        signature = witness.sign(try Self.signed(request, held))
    }

    /// Whether this witness gave it to this request, and the head, if there is one, is the vault's own.
    package func isValid(for request: WitnessRequest, from witness: Witness, identityKey: VerifyingKey) -> Bool {
        guard let signed = try? Self.signed(request, held) else { return false }
        return witness.key.isValid(signature, over: signed) && held?.isValid(by: identityKey) ?? true
    }

    private static func signed(
        _ request: WitnessRequest, _ held: SignedHead?
    ) throws(ByteCodingError) -> [UInt8] {
        var writer = ByteWriter()
        try request.vaultID.encode(into: &writer)
        try request.nonce.encode(into: &writer)
        try writer.optional(held) { held, writer throws(ByteCodingError) in try held.encode(into: &writer) }
        return try labelled(.signWitness, writer.bytes)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        held = try reader.optional { reader throws(ByteCodingError) in try SignedHead(from: &reader) }
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.optional(held) { held, writer throws(ByteCodingError) in try held.encode(into: &writer) }
        try signature.encode(into: &writer)
    }
}
