package import ByteCoding
package import Primitives
package import RecoveryProtocol

/// Shares that their vaults have not activated yet. Kept beside K, sealed under it, and delivered later without a
/// password. Whoever has t of them and the record can guess the password offline: they are as secret as K.
package struct UndeliveredShares: ByteCodable, Sendable {
    package struct Share: ByteCodable, Sendable {
        package let vaultID: VaultID
        package let value: Scalar

        package init(vaultID: VaultID, value: Scalar) {
            self.vaultID = vaultID
            self.value = value
        }

        package init(from reader: inout ByteReader) throws(ByteCodingError) {
            vaultID = try VaultID(from: &reader)
            value = try Scalar(from: &reader)
        }

        package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
            try vaultID.encode(into: &writer)
            try value.encode(into: &writer)
        }
    }

    package let record: PublicRecord
    package let shares: [Share]
    /// What ends the registrations that this one replaced. A vault that has one of these, or none, gets its share; any
    /// other has a later one.
    package let certificates: [SuccessionCertificate]

    package init(record: PublicRecord, shares: [Share], certificates: [SuccessionCertificate]) {
        self.record = record
        self.shares = shares
        self.certificates = certificates
    }

    static let certificatesMax = 16
    private static let sharesLimits = 0...(VaultID.byteCount + Scalar.byteCount) * Limits.vaultsMax
    private static let certificatesLimits = 0...SuccessionCertificate.byteCount * certificatesMax

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        record = try PublicRecord(from: &reader)
        shares = try reader.list(Self.sharesLimits)
        certificates = try reader.list(Self.certificatesLimits)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try record.encode(into: &writer)
        try writer.list(shares, Self.sharesLimits)
        try writer.list(certificates, Self.certificatesLimits)
    }
}
