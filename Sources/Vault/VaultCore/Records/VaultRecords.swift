package import ByteCoding
package import Primitives
package import RecoveryProtocol

/// The vault's own settings, kept in the store like any other record.
package struct VaultConfiguration: ByteCodable, Equatable, Sendable {
    /// What the operator calls the vault; for people alone.
    package var name: String
    /// The fleet that the vault belongs to; nil until it is set.
    package var fleet: Fleet?
    /// The names of the tenants, ascending.
    package var tenants: [String]

    private static let nameBytes = 1...64
    private static let tenantsBytes = 0...0xffff

    package init(name: String, fleet: Fleet? = nil, tenants: [String] = []) {
        self.name = name
        self.fleet = fleet
        self.tenants = tenants
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        name = try reader.text(Self.nameBytes)
        fleet = try reader.optional { reader throws(ByteCodingError) in try Fleet(from: &reader) }
        tenants = try reader.list(Self.tenantsBytes) { reader throws(ByteCodingError) in
            try reader.text(TenantRecord.nameBytes)
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.text(name, Self.nameBytes)
        try writer.optional(fleet) { fleet, writer throws(ByteCodingError) in try fleet.encode(into: &writer) }
        try writer.list(tenants, Self.tenantsBytes) { tenant, writer throws(ByteCodingError) in
            try writer.text(tenant, TenantRecord.nameBytes)
        }
    }
}

/// The seed of the vault's identity key, which the fleet file pins.
package struct VaultIdentity: ByteCodable, Sendable {
    package let seed: SecretBytes

    package init(seed: SecretBytes) { self.seed = seed }

    package var signingKey: SigningKey { SigningKey(seed: seed) }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        var bytes = try reader.fixed(SigningKey.seedBytes)
        seed = SecretBytes(wiping: &bytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        seed.withBytes { writer.raw($0) }
    }
}
