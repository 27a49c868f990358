package import ByteCoding
package import Primitives

/// Proof that one registration follows another: signed by both management keys, for every vault alike. Vaults keep it
/// and show it in Status; whoever meets it never uses the old registration again.
package struct SuccessionCertificate: ByteCodable, Hashable, Sendable {
    package static let byteCount =
        RegistrationID.byteCount + RecordHash.byteCount + VerifyingKey.byteCount + 2 * Signature.byteCount

    package let oldRegistrationID: RegistrationID
    package let newRecordHash: RecordHash
    package let newManagementKey: VerifyingKey
    package let oldSignature: Signature
    package let newSignature: Signature

    package init(
        oldRegistrationID: RegistrationID, newRecordHash: RecordHash, newManagementKey: VerifyingKey,
        oldSignature: Signature, newSignature: Signature
    ) {
        self.oldRegistrationID = oldRegistrationID
        self.newRecordHash = newRecordHash
        self.newManagementKey = newManagementKey
        self.oldSignature = oldSignature
        self.newSignature = newSignature
    }

    /// Signs with both keys.
    package init(
        fleetID: FleetID, name: AccountName, oldRegistrationID: RegistrationID, newRecordHash: RecordHash,
        oldKey: SigningKey, newKey: SigningKey
    ) throws(ByteCodingError) {
        let signed = try SignedBytes.retire(
            fleetID: fleetID, name: name, oldRegistrationID: oldRegistrationID, newRecordHash: newRecordHash,
            newManagementKey: newKey.verifyingKey)
        self.init(
            oldRegistrationID: oldRegistrationID, newRecordHash: newRecordHash,
            newManagementKey: newKey.verifyingKey, oldSignature: oldKey.sign(signed),
            newSignature: newKey.sign(signed))
    }

    /// Whether both keys signed it. `oldManagementKey` comes from the old registration's own record.
    package func isValid(
        fleetID: FleetID, name: AccountName, oldManagementKey: VerifyingKey
    ) throws(ByteCodingError) -> Bool {
        let signed = try SignedBytes.retire(
            fleetID: fleetID, name: name, oldRegistrationID: oldRegistrationID, newRecordHash: newRecordHash,
            newManagementKey: newManagementKey)
        return oldManagementKey.isValid(oldSignature, over: signed)
            && newManagementKey.isValid(newSignature, over: signed)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        oldRegistrationID = try RegistrationID(from: &reader)
        newRecordHash = try RecordHash(from: &reader)
        newManagementKey = try VerifyingKey(from: &reader)
        oldSignature = try Signature(from: &reader)
        newSignature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try oldRegistrationID.encode(into: &writer)
        try newRecordHash.encode(into: &writer)
        try newManagementKey.encode(into: &writer)
        try oldSignature.encode(into: &writer)
        try newSignature.encode(into: &writer)
    }
}
