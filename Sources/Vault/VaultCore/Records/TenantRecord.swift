package import ByteCoding

/// A tenant as the vault knows it. Sealed and versioned like an account's record, so that a store thief cannot add a
/// tenant's key of his own.
package struct TenantRecord: ByteCodable, Equatable, Sendable {
    package var name: String
    /// The tenant's verification keys, a JWK set (RFC 7517 section 5) in JSON.
    package var keySet: [UInt8]
    package var policy: TenantPolicy

    package static let nameBytes = 1...64
    package static let keySetBytes = 1...32_768

    package init(name: String, keySet: [UInt8], policy: TenantPolicy) {
        self.name = name
        self.keySet = keySet
        self.policy = policy
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        name = try reader.text(Self.nameBytes)
        keySet = try reader.vector(Self.keySetBytes)
        policy = try TenantPolicy(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.text(name, Self.nameBytes)
        try writer.vector(keySet, Self.keySetBytes)
        try policy.encode(into: &writer)
    }
}
