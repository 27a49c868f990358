package import ByteCoding
package import Primitives

/// Asks what happened to an account. Signed: what a stranger did is for the owner's eyes alone, and the asking is the
/// contact that cancels a replacement without the key.
package struct HistoryRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    /// The active registration, or the one whose tombstone stands.
    package let registrationID: RegistrationID
    /// By its management key over `SignedBytes.history`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}

/// Gives strangers' attempts back: sent only when the person, shown their times, says that they were their own.
package struct ForgiveRequest: ByteCodable, Hashable, Sendable {
    static let attemptsLimits = AttemptID.byteCount...AttemptID.byteCount * Limits.receiptsMax

    package let serial: UInt64
    /// The active registration. The attempts may have been made at the one before it: they count against both.
    package let registrationID: RegistrationID
    /// As History showed them: an attempt that was made since is not among them.
    package let attempts: [AttemptID]
    /// By the active management key over `SignedBytes.forgive`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, attempts: [AttemptID], signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.attempts = attempts
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        attempts = try reader.list(Self.attemptsLimits)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try writer.list(attempts, Self.attemptsLimits)
        try signature.encode(into: &writer)
    }
}

/// Events of one kind at one vault: one, or several that coalesced.
package struct HistoryEntry: ByteCodable, Hashable, Sendable {
    package enum Kind: UInt8, CaseIterable, Sendable {
        /// Attempts that nobody confirmed or forgave.
        case attempt = 1
        /// Attempts that the right password followed.
        case confirmed = 2
        case prepared = 3
        case activated = 4
        /// Somebody without the old key asked to replace the registration.
        case replacementRequested = 5
        case retired = 6
        case destroyed = 7
        /// Somebody without the old key asked to delete the registration.
        case deletionRequested = 8
        /// What somebody without the old key had asked for was called off, by the old key.
        case cancelled = 9
        case replacedWithoutKey = 10
        case deletedWithoutKey = 11
        /// Attempts that the person called their own.
        case forgiven = 12
        /// The vault came back from a backup, and the management key let it go on.
        case thawed = 13

        /// What somebody who has a sign-in alone cannot bring about for nothing. These keep their days longest.
        package var isCharged: Bool {
            switch self {
            case .attempt, .replacementRequested, .destroyed, .deletionRequested, .replacedWithoutKey,
                .deletedWithoutKey:
                true
            case .confirmed, .prepared, .activated, .retired, .cancelled, .forgiven, .thawed: false
            }
        }
    }

    package static let byteCount = 1 + 4 + 8 + 8

    package let kind: Kind
    /// At least 1.
    package let count: UInt32
    package let first: Timestamp
    /// Not before `first`.
    package let last: Timestamp

    package init(kind: Kind, count: UInt32, first: Timestamp, last: Timestamp) {
        self.kind = kind
        self.count = max(count, 1)
        self.first = min(first, last)
        self.last = max(first, last)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard let kind = Kind(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.kind = kind
        count = try reader.uint32()
        first = try Timestamp(from: &reader)
        last = try Timestamp(from: &reader)
        guard count > 0, first <= last else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(kind.rawValue)
        writer.uint32(count)
        try first.encode(into: &writer)
        try last.encode(into: &writer)
    }
}

/// An attempt that still counts.
package struct ChargedAttempt: ByteCodable, Hashable, Sendable {
    package static let byteCount = AttemptID.byteCount + 8

    package let attemptID: AttemptID
    package let time: Timestamp

    package init(attemptID: AttemptID, time: Timestamp) {
        self.attemptID = attemptID
        self.time = time
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        attemptID = try AttemptID(from: &reader)
        time = try Timestamp(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try attemptID.encode(into: &writer)
        try time.encode(into: &writer)
    }
}

/// What happened to an account at one vault.
package struct HistoryReply: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let vaultTime: Timestamp
    /// In the order of their first events.
    package let entries: [HistoryEntry]
    /// The attempts that still count, oldest first.
    package let charged: [ChargedAttempt]

    package init(serial: UInt64, vaultTime: Timestamp, entries: [HistoryEntry], charged: [ChargedAttempt]) {
        self.serial = serial
        self.vaultTime = vaultTime
        self.entries = entries
        self.charged = charged
    }

    private static let entriesLimits = 0...HistoryEntry.byteCount * Limits.historyEntriesMax
    private static let chargedLimits = 0...ChargedAttempt.byteCount * Limits.receiptsMax

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        vaultTime = try Timestamp(from: &reader)
        entries = try reader.list(Self.entriesLimits)
        charged = try reader.list(Self.chargedLimits)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try vaultTime.encode(into: &writer)
        try writer.list(entries, Self.entriesLimits)
        try writer.list(charged, Self.chargedLimits)
    }
}
