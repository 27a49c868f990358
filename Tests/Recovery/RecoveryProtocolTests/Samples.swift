import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport

/// Fleets, records and messages for tests, from a seed.
struct Samples {
    var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// The cheapest Argon2id that a client accepts.
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    mutating func fleet(
        of count: Int, promisedTotal: UInt8 = 10
    ) throws -> (fleet: Fleet, identities: [SigningKey]) {
        let identities = (0..<count).map { _ in SigningKey.random(using: &generator) }
        let vaults = identities.enumerated().map { position, identity in
            Fleet.Vault(
                index: UInt8(position + 1), identityKey: identity.verifyingKey,
                urls: ["https://vault\(position + 1).example"])
        }
        let fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: promisedTotal, vaults: vaults,
            generations: [
                Fleet.Generation(version: 1, threshold: UInt8((count + 1) / 2), indices: vaults.map(\.index))
            ])
        return (fleet, identities)
    }

    static func name() throws -> AccountName { try AccountName(tenant: "chat", account: "alice-7") }

    mutating func element() -> GroupElement { GroupElement(uniformBytes: generator.bytes(64)) }

    mutating func signature() -> Signature { .random(using: &generator) }

    mutating func certificate() -> SuccessionCertificate {
        SuccessionCertificate(
            oldRegistrationID: .random(using: &generator), newRecordHash: .random(using: &generator),
            newManagementKey: .random(using: &generator), oldSignature: signature(), newSignature: signature())
    }

    /// A record of 15 vaults with the longest names.
    mutating func largestRecord() throws -> PublicRecord {
        let holders = (1...15).map { index in
            ShareHolder(
                index: UInt8(index), vaultID: .random(using: &generator), commitment: .random(using: &generator))
        }
        let header = try RecordHeader(
            fleetID: .random(using: &generator), fleetVersion: .max,
            name: AccountName(
                tenant: String(repeating: "t", count: 64), account: String(repeating: "a", count: 128)),
            registrationID: .random(using: &generator), threshold: 8, holders: holders, argon2: .standard,
            managementKey: .random(using: &generator))
        let envelope = try Envelope(commitment: generator.bytes(32), ciphertext: generator.bytes(48))
        return PublicRecord(header: header, envelope: envelope)
    }

    mutating func replacement() -> Replacement {
        Replacement(oldRegistrationID: .random(using: &generator), signature: signature())
    }

    /// One of each operation, as large as each can be.
    mutating func largestOperations() throws -> [Operation] {
        let record = try largestRecord()
        return [
            .status(StatusRequest(registrationID: .random(using: &generator))),
            .prepare(
                PrepareRequest(
                    serial: .max, record: record, share: .random(using: &generator), replacement: replacement())),
            .activate(
                ActivateRequest(
                    serial: .max, recordHash: try record.recordHash(), signature: signature(),
                    replacement: replacement())),
            .retire(certificate()),
            .evaluate(
                EvaluateRequest(
                    serial: .max, registrationID: .random(using: &generator),
                    attemptID: .random(using: &generator), blindedElement: element())),
            .confirm(
                ConfirmRequest(
                    serial: .max, registrationID: .random(using: &generator),
                    receipts: (0..<Limits.receiptsMax).map { _ in .random(using: &generator) },
                    signature: signature())),
            .delete(
                DeleteRequest(serial: .max, registrationID: .random(using: &generator), signature: signature())),
            .forgive(
                ForgiveRequest(
                    serial: .max, registrationID: .random(using: &generator),
                    attempts: (0..<Limits.receiptsMax).map { _ in .random(using: &generator) },
                    signature: signature())),
            .history(
                HistoryRequest(serial: .max, registrationID: .random(using: &generator), signature: signature())),
            .thaw(
                ThawRequest(
                    serial: .max, registrationID: .random(using: &generator), nonce: .random(using: &generator),
                    signature: signature())),
            .setHead(
                SetHeadRequest(
                    serial: .max, registrationID: .random(using: &generator), head: .random(using: &generator),
                    signature: signature())),
            .getHead(
                GetHeadRequest(serial: .max, registrationID: .random(using: &generator), signature: signature())),
            .requestDeletion(DeletionRequest(serial: .max, registrationID: .random(using: &generator))),
        ]
    }

    static let refusals: [Refusal] = [
        .malformed, .unauthorised, .tokenExpired, .wrongVault, .notRegistered, .unknownRegistration,
        .staleSerial(current: 7), .tooEarly(notBefore: Timestamp(unixSeconds: 9)),
        .destructionPending(erasedAt: Timestamp(unixSeconds: 9)), .destroyed(at: Timestamp(unixSeconds: 9)),
        .policyRefused(.argon2TooCheap), .policyRefused(.registrationClosed), .badShare, .badSignature,
        .fleetMismatch(vaultVersion: 3), .attemptReused, .notPrepared, .oldKeyNeeded,
        .busy(retryAfterSeconds: 5), .suspended, .unavailable,
        .changeWaiting(allowed: Timestamp(unixSeconds: 9)), .frozen,
    ]

    /// One of each reply, as large as each can be.
    mutating func largestReplies() throws -> [Reply] {
        let record = try largestRecord()
        let roles: [HeldRecord.Role] = [.active, .previous, .pending, .pendingSigned, .waiting]
        let held = roles.map {
            HeldRecord(
                role: $0, registrationID: .random(using: &generator), recordHash: .random(using: &generator))
        }
        let status = StatusReply(
            serial: .max, vaultTime: Timestamp(unixSeconds: .max),
            state: .destructionPending(erasedAt: Timestamp(unixSeconds: .max)), attemptsLeft: .max,
            attemptsPerVault: .max, notBefore: Timestamp(unixSeconds: .max), held: held,
            record: RecordView(record), certificates: [certificate(), certificate()],
            ended: EndedRegistration(
                registrationID: .random(using: &generator), managementKey: .random(using: &generator)),
            waiting: WaitingChange(
                kind: .deletion, requested: Timestamp(unixSeconds: 1), allowed: Timestamp(unixSeconds: .max)),
            changedWithoutKey: Timestamp(unixSeconds: .max), frozen: .random(using: &generator))
        let history = HistoryReply(
            serial: .max, vaultTime: Timestamp(unixSeconds: .max),
            entries: (0..<Limits.historyEntriesMax).map { _ in
                HistoryEntry(
                    kind: .attempt, count: .max, first: Timestamp(unixSeconds: 1),
                    last: Timestamp(unixSeconds: .max))
            },
            charged: (0..<Limits.receiptsMax).map { _ in
                ChargedAttempt(attemptID: .random(using: &generator), time: Timestamp(unixSeconds: .max))
            })
        let evaluated = EvaluateReply(
            evaluation: element(), proof: .random(using: &generator), shareKey: element(),
            envelope: record.envelope, attemptsLeft: 3)
        return [
            .status(status), .evaluated(evaluated), .prepared(serial: 1), .activated(serial: 2),
            .retired(serial: 3), .confirmed(serial: 4, attemptsLeft: 10), .deleted(serial: 5),
            .forgiven(serial: 6, attemptsLeft: 10), .history(history), .headSet(serial: 9),
            .head(HeadReply(serial: .max, kept: KeptHead(head: .random(using: &generator), isRestored: true))),
            .head(HeadReply(serial: .max, kept: nil)), .thawed(serial: 7),
            .waiting(serial: 8, allowed: Timestamp(unixSeconds: .max)),
        ] + Self.refusals.map { .refused($0) }
    }
}
