package import ByteCoding
package import Primitives
package import RecoveryProtocol

/// A registration as the vault holds it: the public record and this vault's share of the OPRF key.
package struct Registration: ByteCodable, Sendable {
    /// In one object, for an account's record is copied several times while a command is applied, and this never changes.
    private final class Contents: Sendable {
        let record: PublicRecord
        /// Nil if it was not read: each attempt writes a record that nobody changed.
        let recordBytes: [UInt8]?
        let recordHash: RecordHash
        let share: Scalar

        init(_ record: PublicRecord, _ recordBytes: [UInt8]?, _ recordHash: RecordHash, _ share: Scalar) {
            self.record = record
            self.recordBytes = recordBytes
            self.recordHash = recordHash
            self.share = share
        }
    }

    private let contents: Contents

    package init(record: PublicRecord, recordHash: RecordHash, share: Scalar) {
        contents = Contents(record, nil, recordHash, share)
    }

    package var record: PublicRecord { contents.record }
    package var recordHash: RecordHash { contents.recordHash }
    package var share: Scalar { contents.share }
    package var id: RegistrationID { record.header.registrationID }
    package var managementKey: VerifyingKey { record.header.managementKey }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        let (record, bytes) = try reader.withBytes(PublicRecord.self)
        let recordHash = try RecordHash(from: &reader)
        contents = Contents(record, Array(bytes), recordHash, try Scalar(from: &reader))
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        if let bytes = contents.recordBytes { writer.raw(bytes) } else { try record.encode(into: &writer) }
        try recordHash.encode(into: &writer)
        try share.encode(into: &writer)
    }
}

extension Registration: Equatable {
    package static func == (left: Registration, right: Registration) -> Bool {
        left.contents === right.contents
            || (left.record == right.record && left.recordHash == right.recordHash && left.share == right.share)
    }
}

/// A registration that waits to be activated.
package struct PendingRegistration: ByteCodable, Equatable, Sendable {
    package let registration: Registration
    /// In the ledger's time.
    package let expiresSeconds: UInt64

    package init(registration: Registration, expiresSeconds: UInt64) {
        self.registration = registration
        self.expiresSeconds = expiresSeconds
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        registration = try Registration(from: &reader)
        expiresSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try registration.encode(into: &writer)
        writer.uint64(expiresSeconds)
    }
}

/// One attempt that counts.
package struct Charge: ByteCodable, Hashable, Sendable {
    package let receipt: Receipt
    package let registrationID: RegistrationID
    package let attemptID: AttemptID
    /// In the ledger's time.
    package let chargedSeconds: UInt64

    static let byteCount = Receipt.byteCount + RegistrationID.byteCount + AttemptID.byteCount + 8

    package init(
        receipt: Receipt, registrationID: RegistrationID, attemptID: AttemptID, chargedSeconds: UInt64
    ) {
        self.receipt = receipt
        self.registrationID = registrationID
        self.attemptID = attemptID
        self.chargedSeconds = chargedSeconds
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        receipt = try Receipt(from: &reader)
        registrationID = try RegistrationID(from: &reader)
        attemptID = try AttemptID(from: &reader)
        chargedSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try receipt.encode(into: &writer)
        try registrationID.encode(into: &writer)
        try attemptID.encode(into: &writer)
        writer.uint64(chargedSeconds)
    }
}

/// What stays when the active registration is gone for another reason than Delete: whose word it needs before
/// somebody registers anew.
package struct Tombstone: ByteCodable, Hashable, Sendable {
    /// In the ledger's time; nil if a succession certificate ended the registration, not the guess limit.
    package let destroyedSeconds: UInt64?
    package let registrationID: RegistrationID
    /// The key that may put a registration in its place.
    package let managementKey: VerifyingKey
    /// The record that may be activated without another word: a certificate names it.
    package let successor: RecordHash?

    package init(
        destroyedSeconds: UInt64?, registrationID: RegistrationID, managementKey: VerifyingKey,
        successor: RecordHash?
    ) {
        self.destroyedSeconds = destroyedSeconds
        self.registrationID = registrationID
        self.managementKey = managementKey
        self.successor = successor
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        destroyedSeconds = try reader.optional { reader throws(ByteCodingError) in try reader.uint64() }
        registrationID = try RegistrationID(from: &reader)
        managementKey = try VerifyingKey(from: &reader)
        successor = try reader.optional { reader throws(ByteCodingError) in try RecordHash(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.optional(destroyedSeconds) { seconds, writer throws(ByteCodingError) in writer.uint64(seconds) }
        try registrationID.encode(into: &writer)
        try managementKey.encode(into: &writer)
        try writer.optional(successor) { hash, writer throws(ByteCodingError) in try hash.encode(into: &writer) }
    }
}

/// Everything a vault knows of one account.
package struct AccountRecord: Equatable, Sendable {
    /// Random at first, never falling; one more for every accepted signed operation and for destruction. It survives
    /// Delete and tombstones, so no old message is ever fresh again.
    package var serial: UInt64
    package var active: Registration?
    /// The one before, evaluable under the same count, until it is retired.
    package var previous: Registration?
    /// The place for a Prepare that only a token vouches for.
    package var pending: PendingRegistration?
    /// The place for a Prepare that the old key signed; a stranger's cannot take it.
    package var pendingSigned: PendingRegistration?
    /// g, as it was when the active registration was activated.
    package var budget: UInt8
    /// The attempts that still count, oldest first; never more than the budget.
    package var charges: [Charge]
    /// Serving time at which the record is destroyed; set while no attempt is left.
    package var destroyServingSeconds: UInt64?
    package var tombstone: Tombstone?
    /// Oldest first.
    package var certificates: [SuccessionCertificate]
    /// Asked for without the old key.
    package var requestedChange: RequestedChange?
    /// When the registration was last replaced or deleted without its key, in the ledger's time.
    package var changedWithoutKeySeconds: UInt64?
    /// Registrations that went without their keys' word, by guesses or by what was done without the key; oldest first.
    /// They are not prepared again: they would have a fresh count.
    package private(set) var spent: [RegistrationID]
    /// Set when the record came back from a backup; nothing is evaluated until the management key signs over it.
    package var thawNonce: ThawNonce?
    /// What the owner's devices say of their newest backup; opaque here. It outlives a change of registration that
    /// the old key signed.
    package var head: KeptHead?
    package var history: AccountHistory

    package init(serial: UInt64) {
        self.serial = serial
        budget = 0
        charges = []
        certificates = []
        spent = []
        history = AccountHistory()
    }

    package var attemptsLeft: Int { max(0, Int(budget) - charges.count) }

    /// The active or the previous registration with this id.
    package func registration(_ id: RegistrationID) -> Registration? {
        if let active, active.id == id { return active }
        if let previous, previous.id == id { return previous }
        return nil
    }

    /// Notes what is held as spent.
    package mutating func spendRegistrations() {
        let gone = [active?.id, previous?.id, tombstone?.registrationID].compactMap { $0 }
        spent.removeAll(where: gone.contains)
        spent = (spent + gone).suffix(Self.spentMax)
    }

    /// Its owner's Delete forgets everything.
    package mutating func forgetSpent() { spent = [] }

    private static let spentMax = 8

    /// Far above what one batch adds to a serial (it has 256 commands, and each takes two at most), so that what a restore
    /// draws has room below it; and small enough for 2^39 batches.
    private static let serialsPerBatch: UInt64 = 1 << 24

    /// - Parameter drawn: below 2^24.
    package mutating func passSerials(ofBatches batches: UInt64, drawn: UInt64) {
        let passed = batches.saturatingAdd(1).multipliedReportingOverflow(by: Self.serialsPerBatch)
        serial = serial.saturatingAdd(passed.overflow ? .max : passed.partialValue).saturatingAdd(drawn)
    }

    /// The record came back from a backup: what happened in the batches since is unknown, so a count may be too low, a
    /// registration retired, and a change without the key called off. The serial passes over all that were given out
    /// since, lest a message of that time be fresh again.
    package mutating func freeze(nonce: ThawNonce, batchesMissed: UInt64, drawn: UInt64) {
        passSerials(ofBatches: batchesMissed, drawn: drawn)
        requestedChange = nil
        // A later one may have been acknowledged.
        head = head.map { KeptHead(head: $0.head, isRestored: true) }
        guard active != nil || tombstone != nil else { return }
        thawNonce = nonce
    }
}

extension AccountRecord: ByteCodable {
    /// Of the structure below. Version 1 has no head: a record without one is written as it was before there were any.
    private static let version: UInt8 = 1
    private static let versionWithHead: UInt8 = 2
    private static let chargesLimits = 0...Charge.byteCount * Limits.receiptsMax
    private static let spentLimits = 0...RegistrationID.byteCount * spentMax
    private static let certificatesLimits = 0...SuccessionCertificate.byteCount * Limits.certificatesMax

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        let version = try reader.uint8()
        guard version == Self.version || version == Self.versionWithHead else { throw .invalidValue }
        serial = try reader.uint64()
        active = try Self.optional(from: &reader)
        previous = try Self.optional(from: &reader)
        pending = try Self.optional(from: &reader)
        pendingSigned = try Self.optional(from: &reader)
        budget = try reader.uint8()
        charges = try reader.list(Self.chargesLimits)
        destroyServingSeconds = try reader.optional { reader throws(ByteCodingError) in try reader.uint64() }
        tombstone = try Self.optional(from: &reader)
        certificates = try reader.list(Self.certificatesLimits)
        requestedChange = try Self.optional(from: &reader)
        changedWithoutKeySeconds = try reader.optional { reader throws(ByteCodingError) in try reader.uint64() }
        spent = try reader.list(Self.spentLimits)
        thawNonce = try Self.optional(from: &reader)
        head = version == Self.versionWithHead ? try KeptHead(from: &reader) : nil
        history = try AccountHistory(from: &reader)
        guard charges.count <= budget else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(head == nil ? Self.version : Self.versionWithHead)
        writer.uint64(serial)
        try Self.encode(active, into: &writer)
        try Self.encode(previous, into: &writer)
        try Self.encode(pending, into: &writer)
        try Self.encode(pendingSigned, into: &writer)
        writer.uint8(budget)
        try writer.list(charges, Self.chargesLimits)
        try writer.optional(destroyServingSeconds) { seconds, writer throws(ByteCodingError) in
            writer.uint64(seconds)
        }
        try Self.encode(tombstone, into: &writer)
        try writer.list(certificates, Self.certificatesLimits)
        try Self.encode(requestedChange, into: &writer)
        try writer.optional(changedWithoutKeySeconds) { seconds, writer throws(ByteCodingError) in
            writer.uint64(seconds)
        }
        try writer.list(spent, Self.spentLimits)
        try Self.encode(thawNonce, into: &writer)
        try head?.encode(into: &writer)
        try history.encode(into: &writer)
    }

    private static func optional<Value: ByteCodable>(from reader: inout ByteReader) throws(ByteCodingError) -> Value? {
        try reader.optional { reader throws(ByteCodingError) in try Value(from: &reader) }
    }

    private static func encode(
        _ value: (some ByteCodable)?, into writer: inout ByteWriter
    ) throws(ByteCodingError) {
        try writer.optional(value) { value, writer throws(ByteCodingError) in try value.encode(into: &writer) }
    }
}
