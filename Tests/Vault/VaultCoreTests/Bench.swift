import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import VaultCore

/// One account at one vault of a fleet of three, without anything around the machine.
final class Bench {
    static let start: UInt64 = 1_800_000_000
    static let backupKey = SecretBytes(copying: [UInt8](repeating: 3, count: 32))

    let fleet: Fleet
    let vaultID: VaultID
    let index: Int
    var policy = TenantPolicy()
    var time = LedgerTime(seconds: start, servingSeconds: 500)
    var name: AccountName
    var record: AccountRecord
    var isSuspended = false
    var isOverRate = false
    var lastStep: Step?
    private var generator: SeededGenerator

    /// The same seed gives the same fleet; `index` says which of its vaults this is.
    init(seed: UInt64 = 1, index: Int = 1) throws {
        var generator = SeededGenerator(seed: seed)
        let vaults = (1...3).map { index in
            Fleet.Vault(
                index: UInt8(index), identityKey: SigningKey.random(using: &generator).verifyingKey,
                urls: ["http://localhost"])
        }
        fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: 10, vaults: vaults,
            generations: [Fleet.Generation(version: 1, threshold: 2, indices: [1, 2, 3])])
        vaultID = vaults[index].id
        self.index = index
        name = try AccountName(tenant: "chat", account: "alice")
        record = AccountRecord(serial: 1000)
        self.generator = generator
    }

    var serial: UInt64 { record.serial }

    func pass(seconds: UInt64) {
        time.seconds += seconds
        time.servingSeconds += seconds
    }

    // MARK: Steps

    /// The reply; an evaluation is told apart by nil.
    @discardableResult
    func run(_ command: Command) -> Reply? {
        let context = MachineContext(
            name: name, vaultID: vaultID, fleet: fleet, policy: policy, time: time, isSuspended: isSuspended,
            isOverRate: isOverRate)
        let step = Machine.apply(command, to: record, in: context)
        record = step.record
        lastStep = step
        if case .reply(let reply) = step.answer { return reply }
        return nil
    }

    @discardableResult
    func status() -> StatusReply? {
        guard case .status(let status) = run(.status(StatusRequest())) else { return nil }
        return status
    }

    // MARK: What clients send

    /// A registration without the minutes of Argon2id: the machine never opens an envelope.
    func newRegistration(argon2: Argon2Parameters = .standard, name: AccountName? = nil) throws
        -> NewRecord
    {
        let shares = SecretSharing.split(
            coefficients: [.random(using: &generator), .random(using: &generator)], indices: [1, 2, 3])
        let id = RegistrationID.random(using: &generator)
        let key = SigningKey.random(using: &generator)
        let holders = zip(fleet.vaults, shares).map { vault, share in
            ShareHolder(
                index: vault.index, vaultID: vault.id,
                commitment: ShareCommitment(
                    registrationID: id, index: vault.index, vaultID: vault.id,
                    shareKey: share.value.timesGenerator))
        }
        let header = try RecordHeader(
            fleetID: fleet.id, fleetVersion: 1, name: name ?? self.name, registrationID: id, threshold: 2,
            holders: holders, argon2: argon2, managementKey: key.verifyingKey)
        let envelope = try Envelope(commitment: generator.bytes(32), ciphertext: generator.bytes(48))
        let record = PublicRecord(header: header, envelope: envelope)
        return NewRecord(record: record, hash: try record.recordHash(), shares: shares.map(\.value), key: key)
    }

    struct NewRecord {
        let record: PublicRecord
        let hash: RecordHash
        let shares: [Scalar]
        let key: SigningKey
        var id: RegistrationID { record.header.registrationID }
    }

    func context(_ serial: UInt64?) -> SigningContext {
        SigningContext(fleetID: fleet.id, vaultID: vaultID, name: name, serial: serial ?? record.serial)
    }

    func prepare(_ new: NewRecord, serial: UInt64? = nil, replacing old: NewRecord? = nil) throws -> Command {
        let replacement = try old.map { old in
            Replacement(
                oldRegistrationID: old.id,
                signature: old.key.sign(
                    try SignedBytes.prepare(context(serial), oldRegistrationID: old.id, newRecordHash: new.hash)))
        }
        return .prepare(
            try CheckedPrepare(
                PrepareRequest(
                    serial: serial ?? record.serial, record: new.record, share: new.shares[index],
                    replacement: replacement),
                at: vaultID))
    }

    func activate(
        _ new: NewRecord, serial: UInt64? = nil, replacing old: NewRecord? = nil, signedBy key: SigningKey? = nil
    ) throws -> Command {
        let replacement = try old.map { old in
            Replacement(
                oldRegistrationID: old.id,
                signature: old.key.sign(
                    try SignedBytes.replace(context(serial), oldRegistrationID: old.id, newRecordHash: new.hash)))
        }
        let signed = try SignedBytes.activate(context(serial), recordHash: new.hash)
        return .activate(
            ActivateRequest(
                serial: serial ?? record.serial, recordHash: new.hash, signature: (key ?? new.key).sign(signed),
                replacement: replacement))
    }

    func certificate(_ old: NewRecord, _ new: NewRecord) throws -> SuccessionCertificate {
        let signed = try SignedBytes.retire(
            fleetID: fleet.id, name: name, oldRegistrationID: old.id, newRecordHash: new.hash,
            newManagementKey: new.key.verifyingKey)
        return SuccessionCertificate(
            oldRegistrationID: old.id, newRecordHash: new.hash, newManagementKey: new.key.verifyingKey,
            oldSignature: old.key.sign(signed), newSignature: new.key.sign(signed))
    }

    func guess(_ registration: NewRecord, serial: UInt64? = nil) -> EvaluateRequest {
        EvaluateRequest(
            serial: serial ?? record.serial, registrationID: registration.id,
            attemptID: .random(using: &generator), blindedElement: Scalar.random(using: &generator).timesGenerator)
    }

    func confirm(_ receipts: [Receipt], of registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.confirm(
            context(serial), registrationID: registration.id, receipts: receipts)
        return .confirm(
            ConfirmRequest(
                serial: serial ?? record.serial, registrationID: registration.id, receipts: receipts,
                signature: registration.key.sign(signed)))
    }

    func delete(_ registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.delete(context(serial), registrationID: registration.id)
        return .delete(
            DeleteRequest(
                serial: serial ?? record.serial, registrationID: registration.id,
                signature: registration.key.sign(signed)))
    }

    func history(_ registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.history(context(serial), registrationID: registration.id)
        return .history(
            HistoryRequest(
                serial: serial ?? record.serial, registrationID: registration.id,
                signature: registration.key.sign(signed)))
    }

    /// What the owner is shown.
    func entries(_ registration: NewRecord) throws -> [HistoryEntry] {
        guard case .history(let reply) = run(try history(registration)) else { return [] }
        return reply.entries
    }

    func forgive(_ attempts: [AttemptID], of registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.forgive(context(serial), registrationID: registration.id, attempts: attempts)
        return .forgive(
            ForgiveRequest(
                serial: serial ?? record.serial, registrationID: registration.id, attempts: attempts,
                signature: registration.key.sign(signed)))
    }

    func thaw(_ nonce: ThawNonce, of registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.thaw(context(serial), registrationID: registration.id, nonce: nonce)
        return .thaw(
            ThawRequest(
                serial: serial ?? record.serial, registrationID: registration.id, nonce: nonce,
                signature: registration.key.sign(signed)))
    }

    func setHead(_ head: SealedHead, of registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.setHead(context(serial), registrationID: registration.id, head: head)
        return .setHead(
            SetHeadRequest(
                serial: serial ?? record.serial, registrationID: registration.id, head: head,
                signature: registration.key.sign(signed)))
    }

    func getHead(of registration: NewRecord, serial: UInt64? = nil) throws -> Command {
        let signed = try SignedBytes.getHead(context(serial), registrationID: registration.id)
        return .getHead(
            GetHeadRequest(
                serial: serial ?? record.serial, registrationID: registration.id,
                signature: registration.key.sign(signed)))
    }

    func head() -> SealedHead { .random(using: &generator) }

    /// What the owner is shown.
    func shownHead(of registration: NewRecord) throws -> KeptHead? {
        guard case .head(let reply) = run(try getHead(of: registration)) else { return nil }
        return reply.kept
    }

    func requestDeletion(_ registration: NewRecord, serial: UInt64? = nil) -> Command {
        .requestDeletion(DeletionRequest(serial: serial ?? record.serial, registrationID: registration.id))
    }

    func nonce() -> ThawNonce { .random(using: &generator) }

    /// Prepares and activates.
    func register(replacing old: NewRecord? = nil) throws -> NewRecord {
        let new = try newRegistration()
        run(try prepare(new, replacing: old))
        run(try activate(new, replacing: old))
        return new
    }
}
