package import ByteCoding
package import Primitives

/// K under the password's key: AES-256-GCM, with a commitment that is checked first (GCM does not commit to its key).
package struct Envelope: ByteCodable, Hashable, Sendable {
    package static let commitmentBytes = 32
    /// Ciphertext ‖ tag of K, 48 bytes. The key is used once, so the nonce is zero.
    package static let ciphertextBytes = 48
    package let commitment: [UInt8]
    package let ciphertext: [UInt8]

    package init(commitment: [UInt8], ciphertext: [UInt8]) throws(ByteCodingError) {
        guard commitment.count == Self.commitmentBytes, ciphertext.count == Self.ciphertextBytes else {
            throw .lengthOutOfRange
        }
        self.commitment = commitment
        self.ciphertext = ciphertext
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        commitment = try reader.fixed(Self.commitmentBytes)
        ciphertext = try reader.fixed(Self.ciphertextBytes)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.fixed(commitment, count: Self.commitmentBytes)
        try writer.fixed(ciphertext, count: Self.ciphertextBytes)
    }

    package var hash: EnvelopeHash {
        EnvelopeHash(
            uncheckedBytes: sha256(
                labelled(
                    .envelopeHash,
                    fixed: {
                        $0.raw(commitment)
                        $0.raw(ciphertext)
                    })))
    }
}

/// One vault's place in a registration.
package struct ShareHolder: ByteCodable, Hashable, Sendable {
    package let index: UInt8
    package let vaultID: VaultID
    package let commitment: ShareCommitment

    package init(index: UInt8, vaultID: VaultID, commitment: ShareCommitment) {
        self.index = index
        self.vaultID = vaultID
        self.commitment = commitment
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        index = try reader.uint8()
        vaultID = try VaultID(from: &reader)
        commitment = try ShareCommitment(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(index)
        try vaultID.encode(into: &writer)
        try commitment.encode(into: &writer)
    }
}

/// Everything public about a registration but its envelope; the envelope's associated data.
package struct RecordHeader: ByteCodable, Hashable, Sendable {
    package let fleetID: FleetID
    package let fleetVersion: UInt32
    package let name: AccountName
    package let registrationID: RegistrationID
    package let threshold: UInt8
    /// Ascending by index, 1…15, no index and no vault twice.
    package let holders: [ShareHolder]
    package let argon2: Argon2Parameters
    package let managementKey: VerifyingKey

    package init(
        fleetID: FleetID, fleetVersion: UInt32, name: AccountName, registrationID: RegistrationID,
        threshold: UInt8, holders: [ShareHolder], argon2: Argon2Parameters, managementKey: VerifyingKey
    ) throws(ByteCodingError) {
        self.fleetID = fleetID
        self.fleetVersion = fleetVersion
        self.name = name
        self.registrationID = registrationID
        self.threshold = threshold
        self.holders = holders
        self.argon2 = argon2
        self.managementKey = managementKey
        try check()
    }

    private static let holderBytes = 1 + VaultID.byteCount + ShareCommitment.byteCount
    private static let holdersLimits = holderBytes...holderBytes * Limits.vaultsMax

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        fleetID = try FleetID(from: &reader)
        fleetVersion = try reader.uint32()
        name = try AccountName(from: &reader)
        registrationID = try RegistrationID(from: &reader)
        threshold = try reader.uint8()
        holders = try reader.list(Self.holdersLimits)
        argon2 = try Argon2Parameters(from: &reader)
        managementKey = try VerifyingKey(from: &reader)
        try check()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try fleetID.encode(into: &writer)
        writer.uint32(fleetVersion)
        try name.encode(into: &writer)
        try registrationID.encode(into: &writer)
        writer.uint8(threshold)
        try writer.list(holders, Self.holdersLimits)
        try argon2.encode(into: &writer)
        try managementKey.encode(into: &writer)
    }

    /// n, the number of share holders.
    package var count: Int { holders.count }

    package func holder(vaultID: VaultID) -> ShareHolder? { holders.first { $0.vaultID == vaultID } }

    /// The record's hash, from the hash of its envelope alone: so a client checks a Status reply before any charge.
    package func recordHash(envelopeHash: EnvelopeHash) throws(ByteCodingError) -> RecordHash {
        let bytes = try labelled(.recordHash) { writer throws(ByteCodingError) in
            try encode(into: &writer)
            try envelopeHash.encode(into: &writer)
        }
        return RecordHash(uncheckedBytes: sha256(bytes))
    }

    /// Whether the record is of this fleet: same id, and threshold and share holders as the generation that it names.
    package func matches(_ fleet: Fleet) -> Bool {
        guard fleetID == fleet.id, let generation = fleet.generation(version: fleetVersion) else { return false }
        guard threshold == generation.threshold, holders.map(\.index) == generation.indices else { return false }
        return holders.allSatisfy { fleet.vault(index: $0.index)?.id == $0.vaultID }
    }

    private func check() throws(ByteCodingError) {
        guard (1...Limits.vaultsMax).contains(count), count % 2 == 1, Int(threshold) == (count + 1) / 2 else {
            throw .invalidValue
        }
        var lowest: UInt8 = 0
        for (position, holder) in holders.enumerated() {
            guard holder.index > lowest, !holders[..<position].contains(where: { $0.vaultID == holder.vaultID }) else {
                throw .invalidValue
            }
            lowest = holder.index
        }
    }
}

/// What every vault keeps of a registration, beside its own share.
package struct PublicRecord: ByteCodable, Hashable, Sendable {
    package let header: RecordHeader
    package let envelope: Envelope

    package init(header: RecordHeader, envelope: Envelope) {
        self.header = header
        self.envelope = envelope
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        header = try RecordHeader(from: &reader)
        envelope = try Envelope(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try header.encode(into: &writer)
        try envelope.encode(into: &writer)
    }

    package func recordHash() throws(ByteCodingError) -> RecordHash {
        try header.recordHash(envelopeHash: envelope.hash)
    }
}
