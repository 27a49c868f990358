import ByteCoding
import Primitives
import RecoveryProtocol
import VaultServer

/// One account's client at one vault. Its messages go through `send`, so that a test can lose, repeat or bend them.
struct TestClient {
    typealias Carrier = @Sendable ([UInt8]) async throws -> [UInt8]

    let vault: TestVault
    let name: AccountName
    var carrier: Carrier
    var token: [UInt8]
    /// Which process's channel key is used.
    var service: VaultService
    static let cheapest = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    init(_ vault: TestVault, account: String = "alice", carrier: Carrier? = nil) throws {
        self.vault = vault
        name = try AccountName(tenant: TestVault.tenant, account: account)
        self.carrier = carrier ?? { [service = vault.service] in try await service.handle($0) }
        token = vault.token(account)
        service = vault.service
    }

    /// The same client, talking to another process of the vault.
    func talking(to other: VaultService) -> TestClient {
        var client = self
        client.service = other
        client.carrier = { try await other.handle($0) }
        return client
    }

    // MARK: Messages

    func seal(_ operation: RecoveryProtocol.Operation) async throws -> ClientExchange {
        let announcement = try await KeyAnnouncement(decoding: service.keyAnnouncement())
        return try ClientExchange(Request(token: token, operation: operation), to: announcement)
    }

    func ask(_ operation: RecoveryProtocol.Operation) async throws -> Reply {
        let exchange = try await seal(operation)
        return try exchange.open(SealedReply(decoding: try await carrier(exchange.sealed.encoded())))
    }

    /// True if the vault gave no answer to it: it said that it cannot, or did not even announce a key.
    func isUnanswered(_ operation: RecoveryProtocol.Operation) async -> Bool {
        guard let reply = try? await ask(operation) else { return true }
        return reply == .refused(.unavailable)
    }

    // MARK: Operations

    struct Unexpected: Error { let reply: Reply }

    func status() async throws -> StatusReply {
        let reply = try await ask(.status(StatusRequest()))
        guard case .status(let status) = reply else { throw Unexpected(reply: reply) }
        return status
    }

    func newRegistration(
        password: String, backupKey: SecretBytes = SecretBytes(copying: [UInt8](repeating: 7, count: 32))
    ) throws -> NewRegistration {
        var generator = SystemRandomNumberGenerator()
        return try NewRegistration(
            backupKey: backupKey, password: SecretBytes(copying: Array(password.utf8)), fleet: vault.fleet,
            name: name, argon2: Self.cheapest, using: &generator)
    }

    func prepare(_ registration: NewRegistration, serial: UInt64) throws -> RecoveryProtocol.Operation {
        guard let share = registration.share(for: vault.vaultID) else { throw RegistrationError.inconsistentShares }
        return .prepare(PrepareRequest(serial: serial, record: registration.record, share: share))
    }

    func context(_ serial: UInt64) -> SigningContext {
        SigningContext(fleetID: vault.fleet.id, vaultID: vault.vaultID, name: name, serial: serial)
    }

    func activate(
        _ registration: NewRegistration, serial: UInt64, replacing old: NewRegistration? = nil
    ) throws -> RecoveryProtocol.Operation {
        let signed = try SignedBytes.activate(context(serial), recordHash: registration.recordHash)
        let replacement = try old.map { old in
            let id = old.record.header.registrationID
            return Replacement(
                oldRegistrationID: id,
                signature: old.managementKey.sign(
                    try SignedBytes.replace(
                        context(serial), oldRegistrationID: id, newRecordHash: registration.recordHash)))
        }
        return .activate(
            ActivateRequest(
                serial: serial, recordHash: registration.recordHash,
                signature: registration.managementKey.sign(signed), replacement: replacement))
    }

    /// Prepares and activates; returns the registration.
    @discardableResult
    func register(password: String, replacing old: NewRegistration? = nil) async throws -> NewRegistration {
        let registration = try newRegistration(password: password)
        var serial = try await status().serial
        let prepared = try await ask(prepare(registration, serial: serial))
        guard case .prepared(let next) = prepared else { throw Unexpected(reply: prepared) }
        serial = next
        let activated = try await ask(activate(registration, serial: serial, replacing: old))
        guard case .activated = activated else { throw Unexpected(reply: activated) }
        return registration
    }

    func attempt(_ password: String, at registration: NewRegistration) throws -> PasswordAttempt {
        var generator = SystemRandomNumberGenerator()
        return try PasswordAttempt(
            password: SecretBytes(copying: Array(password.utf8)), view: RecordView(registration.record),
            using: &generator)
    }

    func evaluate(_ attempt: PasswordAttempt, serial: UInt64) async throws -> Reply {
        try await ask(.evaluate(attempt.request(serial: serial)))
    }

    /// An evaluation of some element that no password made: what a guesser sends.
    static func guess(_ registration: NewRegistration, serial: UInt64) -> EvaluateRequest {
        var generator = SystemRandomNumberGenerator()
        return EvaluateRequest(
            serial: serial, registrationID: registration.record.header.registrationID,
            attemptID: .random(using: &generator), blindedElement: Scalar.random(using: &generator).timesGenerator)
    }

    func confirm(
        _ receipts: [Receipt], of registration: NewRegistration, serial: UInt64
    ) throws -> RecoveryProtocol.Operation {
        let id = registration.record.header.registrationID
        let signed = try SignedBytes.confirm(context(serial), registrationID: id, receipts: receipts)
        return .confirm(
            ConfirmRequest(
                serial: serial, registrationID: id, receipts: receipts,
                signature: registration.managementKey.sign(signed)))
    }

    func setHead(
        _ head: SealedHead, of registration: NewRegistration, serial: UInt64
    ) throws -> RecoveryProtocol.Operation {
        let id = registration.record.header.registrationID
        let signed = try SignedBytes.setHead(context(serial), registrationID: id, head: head)
        return .setHead(
            SetHeadRequest(
                serial: serial, registrationID: id, head: head, signature: registration.managementKey.sign(signed)))
    }

    /// What the owner is shown.
    func head(of registration: NewRegistration) async throws -> KeptHead? {
        let serial = try await status().serial
        let id = registration.record.header.registrationID
        let signed = try SignedBytes.getHead(context(serial), registrationID: id)
        let reply = try await ask(
            .getHead(
                GetHeadRequest(
                    serial: serial, registrationID: id, signature: registration.managementKey.sign(signed))))
        guard case .head(let head) = reply else { throw Unexpected(reply: reply) }
        return head.kept
    }

    func delete(_ registration: NewRegistration, serial: UInt64) throws -> RecoveryProtocol.Operation {
        let id = registration.record.header.registrationID
        let signed = try SignedBytes.delete(context(serial), registrationID: id)
        return .delete(
            DeleteRequest(
                serial: serial, registrationID: id, signature: registration.managementKey.sign(signed)))
    }
}
