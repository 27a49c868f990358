package import ByteCoding
import CSodium

/// Why 32 bytes are not a group element or a scalar that the protocol accepts.
package enum GroupError: Error, Equatable {
    /// Not the one encoding of an element of ristretto255 (RFC 9496 section 4.3.1).
    case invalidElement
    /// The identity: it would make every evaluation independent of the key.
    case identity
    /// Not below the group order, or zero.
    case invalidScalar
}

/// An element of ristretto255 (RFC 9496) in its one encoding of 32 bytes.
///
/// What comes from outside is decoded canonically and is never the identity. Arithmetic may arrive at the identity
/// (a liar's replies can be chosen so); it cannot be encoded for the wire.
package struct GroupElement: ByteCodable, Hashable, Sendable {
    package static let byteCount = 32
    package let bytes: [UInt8]

    /// The generator of RFC 9496 section 4.
    package static let generator = Scalar.one.timesGenerator

    /// Decodes (RFC 9497 section 2.1, DeserializeElement).
    package init(validating bytes: [UInt8]) throws(GroupError) {
        // libsodium 1.0.18 overlooks the highest bit, which would give every element a second encoding.
        guard bytes.count == Self.byteCount, bytes[31] & 0x80 == 0,
            crypto_core_ristretto255_is_valid_point(bytes) == 1
        else { throw .invalidElement }
        guard bytes.contains(where: { $0 != 0 }) else { throw .identity }
        self.bytes = bytes
    }

    /// The element derivation of RFC 9496 section 4.3.4, from 64 uniform bytes.
    package init(uniformBytes: [UInt8]) {
        precondition(uniformBytes.count == 64, "an element is derived from 64 bytes")
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        crypto_core_ristretto255_from_hash(&bytes, uniformBytes)
        self.bytes = bytes
    }

    fileprivate init(computed bytes: [UInt8]) { self.bytes = bytes }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        let bytes = try reader.fixed(Self.byteCount)
        do { self = try GroupElement(validating: bytes) } catch { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        guard !isIdentity else { throw .invalidValue }
        try writer.fixed(bytes, count: Self.byteCount)
    }

    package var isIdentity: Bool { !bytes.contains { $0 != 0 } }

    package static func + (left: GroupElement, right: GroupElement) -> GroupElement {
        var sum = [UInt8](repeating: 0, count: byteCount)
        crypto_core_ristretto255_add(&sum, left.bytes, right.bytes)
        return GroupElement(computed: sum)
    }

    package static func * (scalar: Scalar, element: GroupElement) -> GroupElement {
        // libsodium answers -1 when the product is the identity; its encoding is then already in place.
        var product = [UInt8](repeating: 0, count: byteCount)
        scalar.withBytes { _ = crypto_scalarmult_ristretto255(&product, $0, element.bytes) }
        return GroupElement(computed: product)
    }
}

extension Scalar {
    /// This scalar times the generator.
    package var timesGenerator: GroupElement {
        var product = [UInt8](repeating: 0, count: GroupElement.byteCount)
        withBytes { _ = crypto_scalarmult_ristretto255_base(&product, $0) }
        return GroupElement(computed: product)
    }
}
