package import ByteCoding
package import Primitives

/// A fleet, for ever: it is in the OPRF input.
package struct FleetID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// A vault: the first 16 bytes of SHA-256 over its identity key.
package struct VaultID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    package init(identityKey: VerifyingKey) {
        let digest = sha256(labelled(.vaultID, fixed: { $0.raw(identityKey.bytes) }))
        self.init(uncheckedBytes: Array(digest.prefix(Self.byteCount)))
    }
}

/// One act of putting K behind a password; random. Also the salt of Argon2id.
package struct RegistrationID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// One entry of a password; random.
package struct AttemptID: FixedBytes {
    package static let byteCount = 16
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// SHA-256 over a public record: what is activated, not the registration's id alone, else junk under the same id
/// could be activated.
package struct RecordHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// SHA-256 over an envelope.
package struct EnvelopeHash: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// h_j: a hash of C_j = k_j·G, not C_j itself, so that one vault's record and a future quantum computer do not yield k.
package struct ShareCommitment: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    package init(registrationID: RegistrationID, index: UInt8, vaultID: VaultID, shareKey: GroupElement) {
        let input = labelled(
            .shareCommitment,
            fixed: {
                $0.raw(registrationID.bytes)
                $0.uint8(index)
                $0.raw(vaultID.bytes)
                $0.raw(shareKey.bytes)
            })
        self.init(uncheckedBytes: sha256(input))
    }
}

/// What one attempt is charged under: the same receipt is never charged twice.
package struct Receipt: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    package init(registrationID: RegistrationID, attemptID: AttemptID, blindedElement: GroupElement) {
        let input = labelled(
            .receipt,
            fixed: {
                $0.raw(registrationID.bytes)
                $0.raw(attemptID.bytes)
                $0.raw(blindedElement.bytes)
            })
        self.init(uncheckedBytes: sha256(input))
    }
}

/// A DLEQ proof, c ‖ s (RFC 9497 section 2.2). Its two scalars are checked when it is verified.
package struct EvaluationProof: FixedBytes {
    package static let byteCount = 64
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// One of a vault's channel keys.
package struct ChannelKeyID: FixedBytes {
    package static let byteCount = 8
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }

    package init(publicKey: [UInt8]) {
        let digest = sha256(labelled(.channelKeyID, fixed: { $0.raw(publicKey) }))
        self.init(uncheckedBytes: Array(digest.prefix(Self.byteCount)))
    }
}

extension FixedBytes {
    /// A new random value.
    package static func random(using generator: inout some RandomNumberGenerator) -> Self {
        Self(uncheckedBytes: generator.bytes(byteCount))
    }
}

/// Whole seconds since 1970-01-01T00:00:00Z.
package struct Timestamp: ByteCodable, Hashable, Comparable, Sendable {
    package let unixSeconds: UInt64

    package init(unixSeconds: UInt64) { self.unixSeconds = unixSeconds }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        unixSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(unixSeconds)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.unixSeconds < right.unixSeconds }

    /// Stops at the end of time instead of running over.
    package func adding(seconds: UInt64) -> Timestamp {
        Timestamp(unixSeconds: unixSeconds.saturatingAdd(seconds))
    }

    package func subtracting(seconds: UInt64) -> Timestamp {
        Timestamp(unixSeconds: unixSeconds.saturatingSubtract(seconds))
    }
}
