package import ByteCoding
package import Primitives

/// What a device says of its newest backup, sealed under K: 64 bytes that tell a vault nothing (Specs/backup-format.md,
/// section 13).
package struct SealedHead: FixedBytes {
    package static let byteCount = 64
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// A head as a vault keeps it.
package struct KeptHead: ByteCodable, Hashable, Sendable {
    package let head: SealedHead
    /// The vault came back from a backup since the head was set: a later one may have been acknowledged and forgotten.
    package let isRestored: Bool

    package init(head: SealedHead, isRestored: Bool = false) {
        self.head = head
        self.isRestored = isRestored
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        head = try SealedHead(from: &reader)
        switch try reader.uint8() {
        case 0: isRestored = false
        case 1: isRestored = true
        default: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try head.encode(into: &writer)
        writer.uint8(isRestored ? 1 : 0)
    }
}

/// Has a vault keep a head in the place of the one that it keeps. It cannot tell which is the newer.
package struct SetHeadRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    /// The active registration.
    package let registrationID: RegistrationID
    package let head: SealedHead
    /// By its management key over `SignedBytes.setHead`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, head: SealedHead, signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.head = head
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        head = try SealedHead(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try head.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}

/// Asks for the head. Signed, so that a stranger does not even learn whether there is one.
package struct GetHeadRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    /// The active registration.
    package let registrationID: RegistrationID
    /// By its management key over `SignedBytes.getHead`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}

/// The head that a vault keeps, if it keeps one.
package struct HeadReply: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let kept: KeptHead?

    package init(serial: UInt64, kept: KeptHead?) {
        self.serial = serial
        self.kept = kept
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        kept = try reader.optional { reader throws(ByteCodingError) in try KeptHead(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try writer.optional(kept) { kept, writer throws(ByteCodingError) in try kept.encode(into: &writer) }
    }
}
