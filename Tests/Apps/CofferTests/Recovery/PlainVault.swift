import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Synchronization
import TestSupport

/// A vault in memory with just enough rules for a client to meet: it charges, counts, replaces and erases. The real
/// one is VaultCore; this one can lie.
final class PlainVault: Sendable {
    enum Behaviour: Equatable {
        case honest
        case down
        case hung
        /// Answers with bytes that mean nothing.
        case garbage
        /// Answers well sealed, and something else than was asked.
        case wrongKind
        /// Evaluates under another key than it shows.
        case badProof
        /// Answers with another share, well proved.
        case otherShare
        /// Shows a record in which it alone is the fleet.
        case ownRecord
        /// Claims that everything was destroyed.
        case claimsDestroyed
        /// Does what it is asked, and this many replies are lost on the way.
        case losesReplies(Int)
        case refuses(Refusal)
        case refusesToEvaluate(Refusal)
        /// After each Status another device changes the account.
        case movesOn
        /// Does everything but activate.
        case neverActivates
    }

    struct Held {
        let record: PublicRecord
        let share: Scalar
    }

    struct State {
        var behaviour = Behaviour.honest
        var serial: UInt64 = 1_000
        var active: Held?
        var previous: Held?
        var pending: Held?
        var receipts: [Receipt] = []
        var certificates: [SuccessionCertificate] = []
        var notBefore = Timestamp(unixSeconds: 0)
        var destroyedAt: Timestamp?
        var messages = 0
        var generator: SeededGenerator
    }

    static let now = Timestamp(unixSeconds: 1_800_000_000)

    let fleet: Fleet
    let vault: Fleet.Vault
    let budget: Int
    private let key: ChannelKey
    private let state: Mutex<State>

    init(fleet: Fleet, vault: Fleet.Vault, identity: SigningKey, seed: UInt64) throws {
        self.fleet = fleet
        self.vault = vault
        budget = fleet.attemptsPerVault
        var generator = SeededGenerator(seed: seed)
        key = try ChannelKey(
            fleetID: fleet.id, identity: identity, notBefore: Self.now.subtracting(seconds: 60), using: &generator)
        state = Mutex(State(generator: generator))
    }

    func with<Value: Sendable>(_ body: (inout sending State) -> sending Value) -> Value { state.withLock(body) }

    var attemptsLeft: Int { with { [budget] in budget - $0.receipts.count } }

    func announcement() throws -> [UInt8] { try key.announcement.encoded() }

    /// Nil when the reply is lost.
    func handle(_ message: [UInt8]) throws -> [UInt8]? {
        let (exchange, request) = try key.open(try SealedRequest(decoding: message))
        let opened = try request.get()
        return try state.withLock { state -> [UInt8]? in
            state.messages += 1
            if state.behaviour == .garbage { return state.generator.bytes(SealedReply.byteCount) }
            let reply = try answer(opened.operation, &state)
            if case .losesReplies(let count) = state.behaviour, count > 0 {
                state.behaviour = .losesReplies(count - 1)
                return nil
            }
            return try exchange.seal(reply, using: &state.generator).encoded()
        }
    }

    private func answer(_ operation: Operation, _ state: inout State) throws -> Reply {
        if case .refuses(let refusal) = state.behaviour { return .refused(refusal) }
        if state.behaviour == .wrongKind { return .deleted(serial: state.serial) }
        switch operation {
        case .status:
            defer { if state.behaviour == .movesOn { state.serial += 1 } }
            return .status(try status(&state))
        case .prepare(let request):
            guard request.serial == state.serial else { return .refused(.staleSerial(current: state.serial)) }
            guard request.shareBelongs(to: vault.id) else { return .refused(.badShare) }
            state.pending = Held(record: request.record, share: request.share)
            return .prepared(serial: state.serial)
        case .activate(let request): return try activate(request, &state)
        case .retire(let certificate):
            if state.previous?.record.header.registrationID == certificate.oldRegistrationID { state.previous = nil }
            if state.active?.record.header.registrationID == certificate.oldRegistrationID {
                // A change that is taken back.
                state.active = state.previous
                state.previous = nil
            }
            state.certificates = [certificate]
            state.serial += 1
            return .retired(serial: state.serial)
        case .evaluate(let request): return try evaluate(request, &state)
        case .confirm(let request): return try confirm(request, &state)
        case .delete(let request):
            guard let active = state.active else { return .refused(.notRegistered) }
            guard request.serial == state.serial else { return .refused(.staleSerial(current: state.serial)) }
            let signed = try SignedBytes.delete(context(state, active), registrationID: request.registrationID)
            guard active.record.header.managementKey.isValid(request.signature, over: signed) else {
                return .refused(.badSignature)
            }
            (state.active, state.previous, state.pending) = (nil, nil, nil)
            state.serial += 1
            return .deleted(serial: state.serial)
        case .forgive, .history, .setHead, .getHead, .thaw, .requestDeletion: return .refused(.malformed)
        }
    }

    private func context(_ state: State, _ held: Held) -> SigningContext {
        SigningContext(
            fleetID: fleet.id, vaultID: vault.id, name: held.record.header.name, serial: state.serial)
    }

    private func status(_ state: inout State) throws -> StatusReply {
        var held: [HeldRecord] = []
        for (role, place) in [(HeldRecord.Role.active, state.active), (.previous, state.previous)] {
            guard let place else { continue }
            held.append(
                HeldRecord(
                    role: role, registrationID: place.record.header.registrationID,
                    recordHash: try place.record.recordHash()))
        }
        var view = state.active.map { RecordView($0.record) }
        if state.behaviour == .ownRecord, let record = state.active?.record {
            let forged = RecordView(header: try aloneInFleet(record.header), envelopeHash: record.envelope.hash)
            let hash = try forged.recordHash()
            held = [
                HeldRecord(role: .active, registrationID: record.header.registrationID, recordHash: hash)
            ]
            view = forged
        }
        var account: AccountState = state.active == nil ? .notRegistered : .active
        if state.active != nil, budget == state.receipts.count {
            account = .destructionPending(erasedAt: Self.now.adding(seconds: 72 * 3600))
        }
        if state.behaviour == .claimsDestroyed || state.destroyedAt != nil {
            account = .destroyed(at: state.destroyedAt ?? Self.now)
            (held, view) = ([], nil)
        }
        return StatusReply(
            serial: state.serial, vaultTime: Self.now, state: account,
            attemptsLeft: UInt8(budget - state.receipts.count), attemptsPerVault: UInt8(budget),
            notBefore: state.notBefore, held: held, record: view, certificates: state.certificates)
    }

    /// t = 1 of n = 1: a client that took t from a reply would believe this vault alone.
    private func aloneInFleet(_ header: RecordHeader) throws -> RecordHeader {
        try RecordHeader(
            fleetID: header.fleetID, fleetVersion: header.fleetVersion, name: header.name,
            registrationID: header.registrationID, threshold: 1,
            holders: header.holders.filter { $0.vaultID == vault.id }, argon2: header.argon2,
            managementKey: header.managementKey)
    }

    private func activate(_ request: ActivateRequest, _ state: inout State) throws -> Reply {
        if state.behaviour == .neverActivates { return .refused(.unavailable) }
        if try state.active?.record.recordHash() == request.recordHash { return .activated(serial: state.serial) }
        guard request.serial == state.serial else { return .refused(.staleSerial(current: state.serial)) }
        guard let pending = state.pending, try pending.record.recordHash() == request.recordHash else {
            return .refused(.notPrepared)
        }
        let context = context(state, pending)
        let signed = try SignedBytes.activate(context, recordHash: request.recordHash)
        guard pending.record.header.managementKey.isValid(request.signature, over: signed) else {
            return .refused(.badSignature)
        }
        if let active = state.active {
            guard let replacement = request.replacement else { return .refused(.oldKeyNeeded) }
            guard replacement.oldRegistrationID == active.record.header.registrationID else {
                return .refused(.unknownRegistration)
            }
            let signed = try SignedBytes.replace(
                context, oldRegistrationID: replacement.oldRegistrationID, newRecordHash: request.recordHash)
            guard active.record.header.managementKey.isValid(replacement.signature, over: signed) else {
                return .refused(.oldKeyNeeded)
            }
        }
        state.previous = state.active
        state.active = pending
        state.pending = nil
        state.receipts = []
        state.serial += 1
        return .activated(serial: state.serial)
    }

    private func evaluate(_ request: EvaluateRequest, _ state: inout State) throws -> Reply {
        let held = [state.active, state.previous].compactMap { $0 }
            .first { $0.record.header.registrationID == request.registrationID }
        guard let held else { return .refused(.unknownRegistration) }
        if case .refusesToEvaluate(let refusal) = state.behaviour { return .refused(refusal) }
        if !state.receipts.contains(request.receipt) {
            guard request.serial == state.serial else { return .refused(.staleSerial(current: state.serial)) }
            guard state.receipts.count < budget else { return .refused(.destructionPending(erasedAt: Self.now)) }
            state.receipts.append(request.receipt)
        }
        var share = held.share
        if state.behaviour == .otherShare { share = share + .one }
        let made = Evaluation(of: request.blindedElement, share: share, using: &state.generator)
        let isLying = state.behaviour == .badProof
        return .evaluated(
            EvaluateReply(
                evaluation: isLying ? made.shareKey : made.element, proof: made.proof, shareKey: made.shareKey,
                envelope: held.record.envelope, attemptsLeft: UInt8(budget - state.receipts.count)))
    }

    private func confirm(_ request: ConfirmRequest, _ state: inout State) throws -> Reply {
        guard let active = state.active else { return .refused(.notRegistered) }
        guard request.serial == state.serial else { return .refused(.staleSerial(current: state.serial)) }
        let signed = try SignedBytes.confirm(
            context(state, active), registrationID: request.registrationID, receipts: request.receipts)
        guard active.record.header.managementKey.isValid(request.signature, over: signed) else {
            return .refused(.badSignature)
        }
        state.receipts.removeAll { request.receipts.contains($0) }
        state.serial += 1
        return .confirmed(serial: state.serial, attemptsLeft: UInt8(budget - state.receipts.count))
    }
}

/// A fleet of plain vaults, with its client.
struct PlainFleet: VaultTransport {
    let fleet: Fleet
    let vaults: [PlainVault]

    init(of count: Int = 5, seed: UInt64 = 1) throws {
        var generator = SeededGenerator(seed: seed)
        let identities = (0..<count).map { _ in SigningKey.random(using: &generator) }
        let members = identities.enumerated().map { position, identity in
            Fleet.Vault(
                index: UInt8(position + 1), identityKey: identity.verifyingKey, urls: ["http://\(position).invalid"])
        }
        let fleet = try Fleet(
            id: .random(using: &generator), promisedTotal: 10, vaults: members,
            generations: [
                .init(version: 1, threshold: UInt8((count + 1) / 2), indices: members.map(\.index))
            ])
        self.fleet = fleet
        vaults = try zip(members, identities).enumerated().map { position, pair in
            try PlainVault(fleet: fleet, vault: pair.0, identity: pair.1, seed: seed + UInt64(position) + 1)
        }
    }

    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    func set(_ behaviour: PlainVault.Behaviour, _ indices: Int...) {
        for index in indices { vaults[index - 1].with { $0.behaviour = behaviour } }
    }

    private func vault(_ vault: Fleet.Vault) throws(VaultTransportError) -> PlainVault {
        guard let found = vaults.first(where: { $0.vault == vault }) else { throw .unreachable("unknown") }
        return found
    }

    private func waitIfHung(_ vault: PlainVault) async throws(VaultTransportError) {
        switch vault.with({ $0.behaviour }) {
        case .down: throw .unreachable("no connection")
        case .hung:
            await untilCancelled()
            throw .unreachable("called off")
        default: break
        }
    }

    func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        let vault = try self.vault(vault)
        try await waitIfHung(vault)
        guard let bytes = try? vault.announcement() else { throw .refused(status: 500) }
        return bytes
    }

    func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        let vault = try self.vault(vault)
        try await waitIfHung(vault)
        do {
            guard let reply = try vault.handle(message) else { throw VaultTransportError.unreachable("lost") }
            return reply
        } catch let error as VaultTransportError {
            throw error
        } catch { throw .refused(status: 400) }
    }

    func client(
        account: String = "alice", now: Timestamp = PlainVault.now, token: String? = "token",
        hasDeadline: Bool = true, grace: VaultGrace? = nil
    ) throws -> FleetClient {
        let vaults = vaults
        return FleetClient(
            fleet: fleet, name: try AccountName(tenant: "chat", account: account), transport: self,
            tokens: { _ in Array((token ?? "").utf8) },
            deadline: { vault in
                // Only a hung vault takes too long.
                let isHung = vaults.contains { $0.vault == vault && $0.with { $0.behaviour == .hung } }
                if !isHung || !hasDeadline { await untilCancelled() }
            },
            grace: grace, now: { now })
    }
}

/// Waits for cancellation, without a clock.
func untilCancelled() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    for await _ in stream {}
    continuation.finish()
}
