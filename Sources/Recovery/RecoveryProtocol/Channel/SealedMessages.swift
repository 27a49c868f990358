package import ByteCoding
import Primitives

/// The body of `POST /v1/message`: 5,257 bytes, whatever it holds.
package struct SealedRequest: ByteCodable, Hashable, Sendable {
    package static let version: UInt8 = 1
    package static let ciphertextBytes = Limits.requestPlaintextBytes + HybridHPKE.tagBytes
    package static let byteCount =
        1 + VaultID.byteCount + ChannelKeyID.byteCount + HybridHPKE.encapsulatedBytes + ciphertextBytes

    package let vaultID: VaultID
    package let keyID: ChannelKeyID
    package let encapsulated: [UInt8]
    package let ciphertext: [UInt8]

    init(vaultID: VaultID, keyID: ChannelKeyID, encapsulated: [UInt8], ciphertext: [UInt8]) {
        self.vaultID = vaultID
        self.keyID = keyID
        self.encapsulated = encapsulated
        self.ciphertext = ciphertext
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard try reader.uint8() == Self.version else { throw .invalidValue }
        vaultID = try VaultID(from: &reader)
        keyID = try ChannelKeyID(from: &reader)
        encapsulated = try reader.fixed(HybridHPKE.encapsulatedBytes)
        ciphertext = try reader.fixed(Self.ciphertextBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(Self.version)
        try vaultID.encode(into: &writer)
        try keyID.encode(into: &writer)
        try writer.fixed(encapsulated, count: HybridHPKE.encapsulatedBytes)
        try writer.fixed(ciphertext, count: Self.ciphertextBytes)
    }

    /// HPKE's `info`: what stands in clear before the sealed part.
    static func info(vaultID: VaultID, keyID: ChannelKeyID) -> [UInt8] {
        labelled(
            .channelInfo,
            fixed: {
                $0.uint8(version)
                $0.raw(vaultID.bytes)
                $0.raw(keyID.bytes)
            })
    }
}

/// The answer to `POST /v1/message`: 2,096 bytes, whatever it holds.
package struct SealedReply: ByteCodable, Hashable, Sendable {
    package static let saltBytes = 32
    package static let ciphertextBytes = Limits.replyPlaintextBytes + AES256GCM.tagBytes
    package static let byteCount = saltBytes + ciphertextBytes

    package let salt: [UInt8]
    package let ciphertext: [UInt8]

    init(salt: [UInt8], ciphertext: [UInt8]) {
        self.salt = salt
        self.ciphertext = ciphertext
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        salt = try reader.fixed(Self.saltBytes)
        ciphertext = try reader.fixed(Self.ciphertextBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.fixed(salt, count: Self.saltBytes)
        try writer.fixed(ciphertext, count: Self.ciphertextBytes)
    }
}
