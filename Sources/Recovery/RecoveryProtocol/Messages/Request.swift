package import ByteCoding
package import Primitives

/// The plaintext of a sealed request: who asks, and for what. At most 4,094 bytes.
package struct Request: ByteCodable, Equatable, Sendable {
    /// The tenant's token for this vault alone: it names tenant and account. Opaque here.
    package let token: [UInt8]
    package let operation: Operation

    package init(token: [UInt8], operation: Operation) {
        self.token = token
        self.operation = operation
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        token = try reader.vector(Limits.tokenBytes)
        operation = try Operation(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.vector(token, Limits.tokenBytes)
        try operation.encode(into: &writer)
    }
}

extension Request: CustomStringConvertible, CustomReflectable {
    /// Without the token, which is as good as a sign-in.
    package var description: String { "<request: \(operation)>" }
    package var customMirror: Mirror { Mirror(self, children: ["operation": operation]) }
}

/// What a client can ask of a vault.
package enum Operation: Equatable, Sendable {
    case status(StatusRequest)
    case prepare(PrepareRequest)
    case activate(ActivateRequest)
    case retire(SuccessionCertificate)
    case evaluate(EvaluateRequest)
    case confirm(ConfirmRequest)
    case delete(DeleteRequest)
    case forgive(ForgiveRequest)
    case history(HistoryRequest)
    case setHead(SetHeadRequest)
    case getHead(GetHeadRequest)
    case thaw(ThawRequest)
    case requestDeletion(DeletionRequest)
}

extension Operation: ByteCodable {
    private enum Number: UInt8 {
        case status = 1
        case prepare = 2
        case activate = 3
        case retire = 4
        case evaluate = 5
        case confirm = 6
        case delete = 7
        case forgive = 8
        case history = 9
        case setHead = 10
        case getHead = 11
        case thaw = 12
        case requestDeletion = 13
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch Number(rawValue: try reader.uint8()) {
        case .status: self = .status(try StatusRequest(from: &reader))
        case .prepare: self = .prepare(try PrepareRequest(from: &reader))
        case .activate: self = .activate(try ActivateRequest(from: &reader))
        case .retire: self = .retire(try SuccessionCertificate(from: &reader))
        case .evaluate: self = .evaluate(try EvaluateRequest(from: &reader))
        case .confirm: self = .confirm(try ConfirmRequest(from: &reader))
        case .delete: self = .delete(try DeleteRequest(from: &reader))
        case .forgive: self = .forgive(try ForgiveRequest(from: &reader))
        case .history: self = .history(try HistoryRequest(from: &reader))
        case .setHead: self = .setHead(try SetHeadRequest(from: &reader))
        case .getHead: self = .getHead(try GetHeadRequest(from: &reader))
        case .thaw: self = .thaw(try ThawRequest(from: &reader))
        case .requestDeletion: self = .requestDeletion(try DeletionRequest(from: &reader))
        case nil: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        switch self {
        case .status(let body): try write(.status, body, into: &writer)
        case .prepare(let body): try write(.prepare, body, into: &writer)
        case .activate(let body): try write(.activate, body, into: &writer)
        case .retire(let body): try write(.retire, body, into: &writer)
        case .evaluate(let body): try write(.evaluate, body, into: &writer)
        case .confirm(let body): try write(.confirm, body, into: &writer)
        case .delete(let body): try write(.delete, body, into: &writer)
        case .forgive(let body): try write(.forgive, body, into: &writer)
        case .history(let body): try write(.history, body, into: &writer)
        case .setHead(let body): try write(.setHead, body, into: &writer)
        case .getHead(let body): try write(.getHead, body, into: &writer)
        case .thaw(let body): try write(.thaw, body, into: &writer)
        case .requestDeletion(let body): try write(.requestDeletion, body, into: &writer)
        }
    }

    private func write(
        _ number: Number, _ body: some ByteCodable, into writer: inout ByteWriter
    ) throws(ByteCodingError) {
        writer.uint8(number.rawValue)
        try body.encode(into: &writer)
    }
}

/// Asks how an account stands. Never charged, changes nothing.
package struct StatusRequest: ByteCodable, Hashable, Sendable {
    /// Nil asks for the active registration's record; an id, for that registration's (active or previous) and for the
    /// certificate that retires it.
    package let registrationID: RegistrationID?

    package init(registrationID: RegistrationID? = nil) { self.registrationID = registrationID }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        registrationID = try reader.optional { reader throws(ByteCodingError) in try RegistrationID(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.optional(registrationID) { id, writer throws(ByteCodingError) in try id.encode(into: &writer) }
    }
}

/// The old key's word for a new registration.
package struct Replacement: ByteCodable, Hashable, Sendable {
    package let oldRegistrationID: RegistrationID
    /// Over `SignedBytes.prepare` in a Prepare, over `SignedBytes.replace` in an Activate.
    package let signature: Signature

    package init(oldRegistrationID: RegistrationID, signature: Signature) {
        self.oldRegistrationID = oldRegistrationID
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        oldRegistrationID = try RegistrationID(from: &reader)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try oldRegistrationID.encode(into: &writer)
        try signature.encode(into: &writer)
    }
}

/// Hands a vault its share. The record waits beside the active one until it is activated.
package struct PrepareRequest: ByteCodable, Equatable, Sendable {
    package let serial: UInt64
    package let record: PublicRecord
    /// k_i
    package let share: Scalar
    package let replacement: Replacement?

    package init(serial: UInt64, record: PublicRecord, share: Scalar, replacement: Replacement? = nil) {
        self.serial = serial
        self.record = record
        self.share = share
        self.replacement = replacement
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        record = try PublicRecord(from: &reader)
        share = try Scalar(from: &reader)
        replacement = try reader.optional { reader throws(ByteCodingError) in try Replacement(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try record.encode(into: &writer)
        try share.encode(into: &writer)
        try writer.optional(replacement) { value, writer throws(ByteCodingError) in try value.encode(into: &writer) }
    }
}

/// Makes a prepared record the active one.
package struct ActivateRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let recordHash: RecordHash
    /// By the new management key over `SignedBytes.activate`.
    package let signature: Signature
    /// The old key's word if the account has an active registration, or a tombstone. Without it the new one waits for
    /// the tenant's delay.
    package let replacement: Replacement?

    package init(serial: UInt64, recordHash: RecordHash, signature: Signature, replacement: Replacement?) {
        self.serial = serial
        self.recordHash = recordHash
        self.signature = signature
        self.replacement = replacement
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        recordHash = try RecordHash(from: &reader)
        signature = try Signature(from: &reader)
        replacement = try reader.optional { reader throws(ByteCodingError) in try Replacement(from: &reader) }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try recordHash.encode(into: &writer)
        try signature.encode(into: &writer)
        try writer.optional(replacement) { value, writer throws(ByteCodingError) in try value.encode(into: &writer) }
    }
}

/// One guess. Charged once for each receipt, before it is answered.
package struct EvaluateRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let registrationID: RegistrationID
    package let attemptID: AttemptID
    /// B
    package let blindedElement: GroupElement

    package init(
        serial: UInt64, registrationID: RegistrationID, attemptID: AttemptID, blindedElement: GroupElement
    ) {
        self.serial = serial
        self.registrationID = registrationID
        self.attemptID = attemptID
        self.blindedElement = blindedElement
    }

    package var receipt: Receipt {
        Receipt(registrationID: registrationID, attemptID: attemptID, blindedElement: blindedElement)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        attemptID = try AttemptID(from: &reader)
        blindedElement = try GroupElement(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try attemptID.encode(into: &writer)
        try blindedElement.encode(into: &writer)
    }
}

/// Gives attempts back: those of the run that found the right password, and no others.
package struct ConfirmRequest: ByteCodable, Hashable, Sendable {
    static let receiptsLimits = Receipt.byteCount...Receipt.byteCount * Limits.receiptsMax

    package let serial: UInt64
    package let registrationID: RegistrationID
    package let receipts: [Receipt]
    /// By the management key over `SignedBytes.confirm`.
    package let signature: Signature

    package init(serial: UInt64, registrationID: RegistrationID, receipts: [Receipt], signature: Signature) {
        self.serial = serial
        self.registrationID = registrationID
        self.receipts = receipts
        self.signature = signature
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        serial = try reader.uint64()
        registrationID = try RegistrationID(from: &reader)
        receipts = try reader.list(Self.receiptsLimits)
        signature = try Signature(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(serial)
        try registrationID.encode(into: &writer)
        try writer.list(receipts, Self.receiptsLimits)
        try signature.encode(into: &writer)
    }
}

/// Erases a registration at one vault.
package struct DeleteRequest: ByteCodable, Hashable, Sendable {
    package let serial: UInt64
    package let registrationID: RegistrationID
    /// By the management key over `SignedBytes.delete`.
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
