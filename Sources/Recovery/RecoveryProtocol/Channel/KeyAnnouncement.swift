package import ByteCoding
package import Primitives

/// What `GET /v1/key` answers: today's channel key, signed by the vault's identity key.
package struct KeyAnnouncement: ByteCodable, Hashable, Sendable {
    /// A key serves for a day, and for an hour beside its successor; so recorded traffic opens for at most 25 h.
    package static let validitySeconds: UInt64 = 24 * 3600
    package static let overlapSeconds: UInt64 = 3600

    package let fleetID: FleetID
    package let vaultID: VaultID
    package let keyID: ChannelKeyID
    /// X-Wing, 1,216 bytes.
    package let publicKey: [UInt8]
    package let notBefore: Timestamp
    package let notAfter: Timestamp
    package let signature: Signature

    /// The vault's side.
    package init(
        fleetID: FleetID, publicKey: [UInt8], notBefore: Timestamp, notAfter: Timestamp, signedBy identity: SigningKey
    ) throws(ByteCodingError) {
        self.fleetID = fleetID
        self.publicKey = publicKey
        self.notBefore = notBefore
        self.notAfter = notAfter
        vaultID = VaultID(identityKey: identity.verifyingKey)
        keyID = ChannelKeyID(publicKey: publicKey)
        signature = identity.sign(
            try SignedBytes.channelKey(
                fleetID: fleetID, vaultID: vaultID, keyID: keyID, publicKey: publicKey, notBefore: notBefore,
                notAfter: notAfter))
    }

    /// Why a client does not use an announced key.
    package enum Distrust: Error, Equatable {
        /// Not this vault of this fleet, or not signed by it.
        case notGenuine
        /// Genuine, but not for now: this clock or the vault's is wrong, or somebody repeats an old announcement.
        case notValidNow
    }

    /// The client's check, against the identity that the fleet file pins. A clock that is up to an hour slow is borne
    /// with: a fresh key would otherwise shut its owner out.
    package func check(fleetID: FleetID, vault: Fleet.Vault, now: Timestamp) throws(Distrust) {
        guard self.fleetID == fleetID, vaultID == vault.id, keyID == ChannelKeyID(publicKey: publicKey),
            let signed = try? SignedBytes.channelKey(
                fleetID: fleetID, vaultID: vaultID, keyID: keyID, publicKey: publicKey, notBefore: notBefore,
                notAfter: notAfter),
            vault.identityKey.isValid(signature, over: signed)
        else { throw .notGenuine }
        guard notBefore.subtracting(seconds: Self.overlapSeconds) <= now, now <= notAfter else { throw .notValidNow }
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        fleetID = try FleetID(from: &reader)
        vaultID = try VaultID(from: &reader)
        keyID = try ChannelKeyID(from: &reader)
        publicKey = try reader.fixed(HybridHPKE.publicKeyBytes)
        notBefore = try Timestamp(from: &reader)
        notAfter = try Timestamp(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try fleetID.encode(into: &writer)
        try vaultID.encode(into: &writer)
        try keyID.encode(into: &writer)
        try writer.fixed(publicKey, count: HybridHPKE.publicKeyBytes)
        try notBefore.encode(into: &writer)
        try notAfter.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}
