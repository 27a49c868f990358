package import ByteCoding
package import Primitives

/// Where a signed operation counts: at one vault, for one account, once (its serial there). Signed in every operation,
/// so that no vault can forward a message to another, and none can be repeated.
package struct SigningContext: Hashable, Sendable {
    package let fleetID: FleetID
    package let vaultID: VaultID
    package let name: AccountName
    /// The account's serial at that vault.
    package let serial: UInt64

    package init(fleetID: FleetID, vaultID: VaultID, name: AccountName, serial: UInt64) {
        self.fleetID = fleetID
        self.vaultID = vaultID
        self.name = name
        self.serial = serial
    }

    fileprivate func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try fleetID.encode(into: &writer)
        try vaultID.encode(into: &writer)
        try name.encode(into: &writer)
        writer.uint64(serial)
    }
}

/// The canonical byte strings under signatures, one function each.
package enum SignedBytes {
    /// By the old management key, with a Prepare: gives the new record a place that a stranger's cannot take.
    package static func prepare(
        _ context: SigningContext, oldRegistrationID: RegistrationID, newRecordHash: RecordHash
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signPrepare) { writer throws(ByteCodingError) in
            try oldRegistrationID.encode(into: &writer)
            try newRecordHash.encode(into: &writer)
        }
    }

    /// By the new management key.
    package static func activate(
        _ context: SigningContext, recordHash: RecordHash
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signActivate) { writer throws(ByteCodingError) in try recordHash.encode(into: &writer) }
    }

    /// By the old management key, with an Activate that replaces its registration.
    package static func replace(
        _ context: SigningContext, oldRegistrationID: RegistrationID, newRecordHash: RecordHash
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signReplace) { writer throws(ByteCodingError) in
            try oldRegistrationID.encode(into: &writer)
            try newRecordHash.encode(into: &writer)
        }
    }

    /// By both keys: the succession certificate. It names no vault and no serial, for it is carried to all of them and
    /// has its effect once, whoever carries it.
    package static func retire(
        fleetID: FleetID, name: AccountName, oldRegistrationID: RegistrationID, newRecordHash: RecordHash,
        newManagementKey: VerifyingKey
    ) throws(ByteCodingError) -> [UInt8] {
        try labelled(.signRetire) { writer throws(ByteCodingError) in
            try fleetID.encode(into: &writer)
            try name.encode(into: &writer)
            try oldRegistrationID.encode(into: &writer)
            try newRecordHash.encode(into: &writer)
            try newManagementKey.encode(into: &writer)
        }
    }

    /// By the management key: gives back exactly the attempts listed.
    package static func confirm(
        _ context: SigningContext, registrationID: RegistrationID, receipts: [Receipt]
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signConfirm) { writer throws(ByteCodingError) in
            try registrationID.encode(into: &writer)
            try writer.list(receipts, ConfirmRequest.receiptsLimits)
        }
    }

    /// By the management key: erases the registration at this vault.
    package static func delete(
        _ context: SigningContext, registrationID: RegistrationID
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signDelete) { writer throws(ByteCodingError) in try registrationID.encode(into: &writer) }
    }

    /// By the management key: gives back the attempts that the person calls their own.
    package static func forgive(
        _ context: SigningContext, registrationID: RegistrationID, attempts: [AttemptID]
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signForgive) { writer throws(ByteCodingError) in
            try registrationID.encode(into: &writer)
            try writer.list(attempts, ForgiveRequest.attemptsLimits)
        }
    }

    /// By the management key: asks for the history.
    package static func history(
        _ context: SigningContext, registrationID: RegistrationID
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signHistory) { writer throws(ByteCodingError) in try registrationID.encode(into: &writer) }
    }

    /// By the management key: has this vault keep a head.
    package static func setHead(
        _ context: SigningContext, registrationID: RegistrationID, head: SealedHead
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signSetHead) { writer throws(ByteCodingError) in
            try registrationID.encode(into: &writer)
            try head.encode(into: &writer)
        }
    }

    /// By the management key: asks for the head.
    package static func getHead(
        _ context: SigningContext, registrationID: RegistrationID
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signGetHead) { writer throws(ByteCodingError) in try registrationID.encode(into: &writer) }
    }

    /// By the management key: lets a vault that came back from a backup go on.
    package static func thaw(
        _ context: SigningContext, registrationID: RegistrationID, nonce: ThawNonce
    ) throws(ByteCodingError) -> [UInt8] {
        try at(context, .signThaw) { writer throws(ByteCodingError) in
            try registrationID.encode(into: &writer)
            try nonce.encode(into: &writer)
        }
    }

    /// By a vault's identity key: today's channel key.
    package static func channelKey(
        fleetID: FleetID, vaultID: VaultID, keyID: ChannelKeyID, publicKey: [UInt8],
        notBefore: Timestamp, notAfter: Timestamp
    ) throws(ByteCodingError) -> [UInt8] {
        try labelled(.signChannelKey) { writer throws(ByteCodingError) in
            try fleetID.encode(into: &writer)
            try vaultID.encode(into: &writer)
            try keyID.encode(into: &writer)
            try writer.fixed(publicKey, count: HybridHPKE.publicKeyBytes)
            try notBefore.encode(into: &writer)
            try notAfter.encode(into: &writer)
        }
    }

    /// By identity keys of the version before: a new version of the fleet.
    package static func fleet(_ fleet: Fleet) throws(ByteCodingError) -> [UInt8] {
        try labelled(.signFleet) { writer throws(ByteCodingError) in try fleet.encode(into: &writer) }
    }

    private static func at(
        _ context: SigningContext, _ label: Label, _ fields: (inout ByteWriter) throws(ByteCodingError) -> Void
    ) throws(ByteCodingError) -> [UInt8] {
        try labelled(label) { writer throws(ByteCodingError) in
            try context.encode(into: &writer)
            try fields(&writer)
        }
    }
}
