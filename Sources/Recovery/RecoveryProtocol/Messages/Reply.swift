package import ByteCoding
package import Primitives

/// The plaintext of a sealed reply. At most 2,046 bytes.
package enum Reply: Equatable, Sendable {
    case status(StatusReply)
    /// The record waits; what was asked for is done. With the account's serial after it.
    case prepared(serial: UInt64)
    case activated(serial: UInt64)
    case retired(serial: UInt64)
    case evaluated(EvaluateReply)
    case confirmed(serial: UInt64, attemptsLeft: UInt8)
    case deleted(serial: UInt64)
    case forgiven(serial: UInt64, attemptsLeft: UInt8)
    case history(HistoryReply)
    case headSet(serial: UInt64)
    case head(HeadReply)
    case thawed(serial: UInt64)
    /// A replacement or deletion without the key was taken down. Asked for again from this time on, it is done.
    case waiting(serial: UInt64, allowed: Timestamp)
    case refused(Refusal)
}

extension Reply: ByteCodable {
    /// As the operations are numbered; 0 is a refusal, and 13 also answers an Activate without the old key.
    private enum Number: UInt8 {
        case refused = 0
        case status = 1
        case prepared = 2
        case activated = 3
        case retired = 4
        case evaluated = 5
        case confirmed = 6
        case deleted = 7
        case forgiven = 8
        case history = 9
        case headSet = 10
        case head = 11
        case thawed = 12
        case waiting = 13
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch Number(rawValue: try reader.uint8()) {
        case .refused: self = .refused(try Refusal(from: &reader))
        case .status: self = .status(try StatusReply(from: &reader))
        case .prepared: self = .prepared(serial: try reader.uint64())
        case .activated: self = .activated(serial: try reader.uint64())
        case .retired: self = .retired(serial: try reader.uint64())
        case .evaluated: self = .evaluated(try EvaluateReply(from: &reader))
        case .confirmed: self = .confirmed(serial: try reader.uint64(), attemptsLeft: try reader.uint8())
        case .deleted: self = .deleted(serial: try reader.uint64())
        case .forgiven: self = .forgiven(serial: try reader.uint64(), attemptsLeft: try reader.uint8())
        case .history: self = .history(try HistoryReply(from: &reader))
        case .headSet: self = .headSet(serial: try reader.uint64())
        case .head: self = .head(try HeadReply(from: &reader))
        case .thawed: self = .thawed(serial: try reader.uint64())
        case .waiting: self = .waiting(serial: try reader.uint64(), allowed: try Timestamp(from: &reader))
        case nil: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        switch self {
        case .refused(let refusal):
            writer.uint8(Number.refused.rawValue)
            try refusal.encode(into: &writer)
        case .status(let status):
            writer.uint8(Number.status.rawValue)
            try status.encode(into: &writer)
        case .evaluated(let evaluated):
            writer.uint8(Number.evaluated.rawValue)
            try evaluated.encode(into: &writer)
        case .prepared(let serial): write(.prepared, serial, into: &writer)
        case .activated(let serial): write(.activated, serial, into: &writer)
        case .retired(let serial): write(.retired, serial, into: &writer)
        case .deleted(let serial): write(.deleted, serial, into: &writer)
        case .confirmed(let serial, let attemptsLeft):
            write(.confirmed, serial, into: &writer)
            writer.uint8(attemptsLeft)
        case .forgiven(let serial, let attemptsLeft):
            write(.forgiven, serial, into: &writer)
            writer.uint8(attemptsLeft)
        case .history(let history):
            writer.uint8(Number.history.rawValue)
            try history.encode(into: &writer)
        case .headSet(let serial): write(.headSet, serial, into: &writer)
        case .head(let head):
            writer.uint8(Number.head.rawValue)
            try head.encode(into: &writer)
        case .thawed(let serial): write(.thawed, serial, into: &writer)
        case .waiting(let serial, let allowed):
            write(.waiting, serial, into: &writer)
            try allowed.encode(into: &writer)
        }
    }

    private func write(_ number: Number, _ serial: UInt64, into writer: inout ByteWriter) {
        writer.uint8(number.rawValue)
        writer.uint64(serial)
    }
}

/// How an account stands at a vault.
package enum AccountState: ByteCodable, Hashable, Sendable {
    /// Nothing here, or nobody of this name: the two look the same from outside, serial included.
    case notRegistered
    case active
    /// No attempt is left: until `erasedAt` only repeats of receipts and Confirm are answered.
    case destructionPending(erasedAt: Timestamp)
    case destroyed(at: Timestamp)

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch try reader.uint8() {
        case 0: self = .notRegistered
        case 1: self = .active
        case 2: self = .destructionPending(erasedAt: try Timestamp(from: &reader))
        case 3: self = .destroyed(at: try Timestamp(from: &reader))
        default: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        switch self {
        case .notRegistered: writer.uint8(0)
        case .active: writer.uint8(1)
        case .destructionPending(let erasedAt):
            writer.uint8(2)
            try erasedAt.encode(into: &writer)
        case .destroyed(let time):
            writer.uint8(3)
            try time.encode(into: &writer)
        }
    }
}

/// A registration that a vault holds for an account.
package struct HeldRecord: ByteCodable, Hashable, Sendable {
    package enum Role: UInt8, Sendable {
        case active = 1
        case previous = 2
        /// Prepared without the old key's signature.
        case pending = 3
        /// Prepared with it.
        case pendingSigned = 4
        /// Waits to replace the active one without its key.
        case waiting = 5
    }

    package let role: Role
    package let registrationID: RegistrationID
    package let recordHash: RecordHash

    package init(role: Role, registrationID: RegistrationID, recordHash: RecordHash) {
        self.role = role
        self.registrationID = registrationID
        self.recordHash = recordHash
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard let role = Role(rawValue: try reader.uint8()) else { throw .invalidValue }
        self.role = role
        registrationID = try RegistrationID(from: &reader)
        recordHash = try RecordHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(role.rawValue)
        try registrationID.encode(into: &writer)
        try recordHash.encode(into: &writer)
    }
}

/// A public record without its envelope, which is worth an attempt.
package struct RecordView: ByteCodable, Hashable, Sendable {
    package let header: RecordHeader
    package let envelopeHash: EnvelopeHash

    package init(header: RecordHeader, envelopeHash: EnvelopeHash) {
        self.header = header
        self.envelopeHash = envelopeHash
    }

    package init(_ record: PublicRecord) {
        self.init(header: record.header, envelopeHash: record.envelope.hash)
    }

    package func recordHash() throws(ByteCodingError) -> RecordHash {
        try header.recordHash(envelopeHash: envelopeHash)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        header = try RecordHeader(from: &reader)
        envelopeHash = try EnvelopeHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try header.encode(into: &writer)
        try envelopeHash.encode(into: &writer)
    }
}

/// What a vault says about an account before anything is charged.
package struct StatusReply: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let vaultTime: Timestamp
    package let state: AccountState
    package let attemptsLeft: UInt8
    package let attemptsPerVault: UInt8
    /// An Evaluate before this time is refused, uncharged. Zero if there is no wait.
    package let notBefore: Timestamp
    package let held: [HeldRecord]
    package let record: RecordView?
    package let certificates: [SuccessionCertificate]
    /// The registration whose tombstone stands.
    package let ended: EndedRegistration?
    package let waiting: WaitingChange?
    /// When a registration was last replaced or deleted without its key; zero if never.
    package let changedWithoutKey: Timestamp
    /// The vault came back from a backup, and nothing is evaluated until the management key signs over this.
    package let frozen: ThawNonce?

    package init(
        serial: UInt64, vaultTime: Timestamp, state: AccountState, attemptsLeft: UInt8, attemptsPerVault: UInt8,
        notBefore: Timestamp, held: [HeldRecord], record: RecordView?, certificates: [SuccessionCertificate],
        ended: EndedRegistration? = nil, waiting: WaitingChange? = nil,
        changedWithoutKey: Timestamp = Timestamp(unixSeconds: 0), frozen: ThawNonce? = nil
    ) {
        self.serial = serial
        self.vaultTime = vaultTime
        self.state = state
        self.attemptsLeft = attemptsLeft
        self.attemptsPerVault = attemptsPerVault
        self.notBefore = notBefore
        self.held = held
        self.record = record
        self.certificates = certificates
        self.ended = ended
        self.waiting = waiting
        self.changedWithoutKey = changedWithoutKey
        self.frozen = frozen
    }

    private static let heldLimits =
        0...(1 + RegistrationID.byteCount + RecordHash.byteCount) * Limits.heldRecordsMax
    private static let certificatesLimits = 0...SuccessionCertificate.byteCount * Limits.certificatesMax

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        vaultTime = try Timestamp(from: &reader)
        state = try AccountState(from: &reader)
        attemptsLeft = try reader.uint8()
        attemptsPerVault = try reader.uint8()
        notBefore = try Timestamp(from: &reader)
        held = try reader.list(Self.heldLimits)
        record = try reader.optional { reader throws(ByteCodingError) in try RecordView(from: &reader) }
        certificates = try reader.list(Self.certificatesLimits)
        ended = try reader.optional { reader throws(ByteCodingError) in try EndedRegistration(from: &reader) }
        waiting = try reader.optional { reader throws(ByteCodingError) in try WaitingChange(from: &reader) }
        changedWithoutKey = try Timestamp(from: &reader)
        frozen = try reader.optional { reader throws(ByteCodingError) in try ThawNonce(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try vaultTime.encode(into: &writer)
        try state.encode(into: &writer)
        writer.uint8(attemptsLeft)
        writer.uint8(attemptsPerVault)
        try notBefore.encode(into: &writer)
        try writer.list(held, Self.heldLimits)
        try writer.optional(record) { view, writer throws(ByteCodingError) in try view.encode(into: &writer) }
        try writer.list(certificates, Self.certificatesLimits)
        try writer.optional(ended) { ended, writer throws(ByteCodingError) in try ended.encode(into: &writer) }
        try writer.optional(waiting) { change, writer throws(ByteCodingError) in try change.encode(into: &writer) }
        try changedWithoutKey.encode(into: &writer)
        try writer.optional(frozen) { nonce, writer throws(ByteCodingError) in try nonce.encode(into: &writer) }
    }
}

/// One vault's part of an attempt.
package struct EvaluateReply: ByteCodable, Hashable, Sendable {
    /// k_i·B
    package let evaluation: GroupElement
    package let proof: EvaluationProof
    /// C_i = k_i·G; must hash to h_i of the record.
    package let shareKey: GroupElement
    package let envelope: Envelope
    package let attemptsLeft: UInt8

    package init(
        evaluation: GroupElement, proof: EvaluationProof, shareKey: GroupElement, envelope: Envelope,
        attemptsLeft: UInt8
    ) {
        self.evaluation = evaluation
        self.proof = proof
        self.shareKey = shareKey
        self.envelope = envelope
        self.attemptsLeft = attemptsLeft
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        evaluation = try GroupElement(from: &reader)
        proof = try EvaluationProof(from: &reader)
        shareKey = try GroupElement(from: &reader)
        envelope = try Envelope(from: &reader)
        attemptsLeft = try reader.uint8()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try evaluation.encode(into: &writer)
        try proof.encode(into: &writer)
        try shareKey.encode(into: &writer)
        try envelope.encode(into: &writer)
        writer.uint8(attemptsLeft)
    }
}
