package import Primitives

/// OPRF(ristretto255, SHA-512) of RFC 9497. The protocol uses mode `verifiable`; the others are
/// here for their vectors.
package enum OPRF {
    package enum Mode: UInt8, Sendable {
        case base = 0
        case verifiable = 1
        case partiallyOblivious = 2

        /// RFC 9497 section 3.1, CreateContextString.
        var contextString: [UInt8] {
            Array("OPRFV1-".utf8) + [rawValue] + Array("-ristretto255-SHA512".utf8)
        }
    }

    /// The input hashes to the identity: it happens to nobody, and is refused as RFC 9497 section 3.3.1 asks.
    package struct InvalidInput: Error, Equatable {}

    package static let outputBytes = 64
    package static let inputBytesMax = 65_535

    /// RFC 9497 section 4.1, HashToGroup.
    package static func hashToGroup(_ input: SecretBytes, mode: Mode) throws(InvalidInput) -> GroupElement {
        guard input.count <= inputBytesMax else { throw InvalidInput() }
        var uniform = input.withBytes {
            expandMessage($0, tag: Array("HashToGroup-".utf8) + mode.contextString)
        }
        defer { uniform.wipe() }
        let element = GroupElement(uniformBytes: uniform)
        guard !element.isIdentity else { throw InvalidInput() }
        return element
    }

    /// RFC 9497 section 4.1, HashToScalar.
    static func hashToScalar(_ input: [UInt8], tag: [UInt8]) -> Scalar {
        var uniform = input.withUnsafeBytes { expandMessage($0, tag: tag) }
        return Scalar(reducing: &uniform)
    }

    /// The client's first step: B = blind · HashToGroup(input).
    package static func blind(
        _ input: SecretBytes, with blind: Scalar, mode: Mode = .verifiable
    ) throws(InvalidInput) -> GroupElement {
        blind * (try hashToGroup(input, mode: mode))
    }

    /// The client's last step, once the blind is off (RFC 9497 section 3.3.1, Finalize): 64 bytes.
    /// `info` is the public part of the partially oblivious mode (section 3.3.3), which the protocol does not use.
    package static func output(
        input: SecretBytes, unblinded: GroupElement, info: [UInt8]? = nil
    ) -> SecretBytes {
        var message: [UInt8] = []
        message.reserveCapacity(input.count + 64 + (info?.count ?? 0))
        message.append(contentsOf: twoBytes(input.count))
        input.withBytes { message.append(contentsOf: $0) }
        if let info { message.append(contentsOf: twoBytes(info.count) + info) }
        message.append(contentsOf: twoBytes(unblinded.bytes.count))
        message.append(contentsOf: unblinded.bytes)
        message.append(contentsOf: "Finalize".utf8)
        defer { message.wipe() }
        var digest = sha512(message)
        return SecretBytes(wiping: &digest)
    }

    /// Takes the blind off and hashes. Nil for a zero blind, which no client draws.
    package static func finalize(
        input: SecretBytes, blind: Scalar, evaluation: GroupElement, info: [UInt8]? = nil
    ) -> SecretBytes? {
        guard let inverse = blind.inverted else { return nil }
        return output(input: input, unblinded: inverse * evaluation, info: info)
    }

    /// expand_message_xmd with SHA-512 (RFC 9380 section 5.3.1) for 64 bytes, which is one block.
    private static func expandMessage(_ message: UnsafeRawBufferPointer, tag: [UInt8]) -> [UInt8] {
        let suffix = tag + [UInt8(truncatingIfNeeded: tag.count)]
        var first = [UInt8](repeating: 0, count: 128)
        first.reserveCapacity(128 + message.count + 3 + suffix.count)
        first.append(contentsOf: message)
        first.append(contentsOf: [0, 64, 0])
        first.append(contentsOf: suffix)
        defer { first.wipe() }
        return sha512(sha512(first) + [1] + suffix)
    }

    /// I2OSP(count, 2)
    static func twoBytes(_ count: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
    }
}
