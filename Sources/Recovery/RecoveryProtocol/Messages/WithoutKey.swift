package import ByteCoding
package import Primitives

/// Asks to delete a registration without its key: done when the same is asked again after the tenant's delay, unless
/// the key was heard of in between.
package struct DeletionRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let registrationID: RegistrationID

    package init(serial: UInt64, registrationID: RegistrationID) {
        self.serial = serial
        self.registrationID = registrationID
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
    }
}

/// What somebody without the old key asked for, as Status shows it to everybody who signs in.
package struct WaitingChange: ByteCodable, Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case replacement = 1
        case deletion = 2
    }

    package let kind: Kind
    package let requested: Timestamp
    /// From then on it is done when it is asked for again. It counts time in which the vault serves: an estimate.
    package let allowed: Timestamp

    package init(kind: Kind, requested: Timestamp, allowed: Timestamp) {
        self.kind = kind
        self.requested = requested
        self.allowed = allowed
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard let kind = Kind(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.kind = kind
        requested = try Timestamp(from: &reader)
        allowed = try Timestamp(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(kind.rawValue)
        try requested.encode(into: &writer)
        try allowed.encode(into: &writer)
    }
}

/// The registration whose tombstone stands, and the key that may put another in its place at once.
package struct EndedRegistration: ByteCodable, Hashable, Sendable {
    package let registrationID: RegistrationID
    package let managementKey: VerifyingKey

    package init(registrationID: RegistrationID, managementKey: VerifyingKey) {
        self.registrationID = registrationID
        self.managementKey = managementKey
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        registrationID = try RegistrationID(from: &reader)
        managementKey = try VerifyingKey(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try registrationID.encode(into: &writer)
        try managementKey.encode(into: &writer)
    }
}

/// Drawn when a vault's records come back from a backup. What is signed over it was signed since.
package struct ThawNonce: FixedBytes {
    package static let byteCount = 32
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// Lets a vault that came back from a backup go on with a registration that is still the present one.
package struct ThawRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let registrationID: RegistrationID
    package let nonce: ThawNonce
    /// By the management key over `SignedBytes.thaw`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, nonce: ThawNonce, signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.nonce = nonce
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        nonce = try ThawNonce(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try nonce.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}
