import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import VaultCore
import VaultServer

/// A vault's clocks: the true time, plus whatever somebody set it wrong by.
// One thread runs all of it, so it may be called Sendable.
final class VaultClock: @unchecked Sendable {
    private static let startSeconds: Int64 = 1_800_000_000
    private let world: World
    var wrongBySeconds: Int64 = 0

    init(_ world: World) { self.world = world }

    func moment(since startMilliseconds: UInt64) -> Moment {
        let seconds = Int64(world.milliseconds / 1000)
        return Moment(
            wallSeconds: UInt64(max(0, Self.startSeconds + seconds + wrongBySeconds)),
            uptimeSeconds: (world.milliseconds - startMilliseconds) / 1000)
    }
}

/// One process of a vault: the real ledger's worker over a disk that fails.
final class VaultProcess {
    let handle: DiskHandle
    var worker: LedgerWorker

    init(_ vault: SimulatedVault) {
        let (world, clock) = (vault.world, vault.clock)
        let start = world.milliseconds
        handle = DiskHandle(vault.disk, world: world)
        worker = LedgerWorker(
            records: SealedRecords(
                store: handle, dataKey: vault.dataKey, anchor: vault.anchor(of: handle)), vaultID: vault.id,
            clock: { clock.moment(since: start) }, generator: world.generator())
    }
}

/// One vault: its disk, its clock, its processes, and what stands in line.
final class SimulatedVault {
    let world: World
    let index: Int
    let id: VaultID
    let fleet: Fleet
    let dataKey: SecretBytes
    let disk = Disk()
    let memory = Memory()
    /// In the memory's place, at some vaults.
    let witnesses: Witnesses?
    private let identity: SigningKey
    let clock: VaultClock
    let records: SealedRecords
    let checks: Checks
    /// The newest store, while another one stands in its place.
    var setAside: Disk.Copy?
    /// Old stores that somebody has, each with what the anchor held.
    var copies: [(store: Disk.Copy, anchored: AnchoredHead)] = []
    /// It may be restored from a copy, which costs it what happened since: it counts as one that is not honest.
    let isRestorable: Bool
    /// The last epoch before it was restored.
    var lostEpoch: UInt64?
    private let network: Network
    private let handle: DiskHandle
    /// Nil while the vault is down.
    private(set) var process: VaultProcess?
    /// A second process on the same store, which an operator started by mistake.
    private var rival: VaultProcess?
    private var inbox: [Message] = []
    var generator: SeededGenerator
    let liar: Liar?
    /// Another process wrote while a batch was worked on: who caused what cannot be told.
    private var isDisturbed = false
    /// The accounts' records as they were opened last.
    private var opened: [(key: RecordKey, sealed: [UInt8], record: AccountRecord?)] = []

    init(
        world: World, index: Int, fleet: Fleet, identity: SecretBytes, policy: TenantPolicy, network: Network,
        checks: Checks, liar: Liar?, isRestorable: Bool
    ) throws {
        self.world = world
        self.index = index
        self.fleet = fleet
        self.network = network
        self.checks = checks
        self.liar = liar
        self.isRestorable = isRestorable
        id = VaultID(identityKey: SigningKey(seed: identity).verifyingKey)
        generator = world.generator()
        dataKey = .random(RecordSealer.dataKeyBytes, using: &generator)
        clock = VaultClock(world)
        self.identity = SigningKey(seed: identity)
        witnesses = world.chance(perMille: 250) ? Witnesses(world, watching: SigningKey(seed: identity)) : nil
        handle = DiskHandle(disk, world: world)
        records = SealedRecords(
            store: handle, dataKey: dataKey,
            anchor: Self.anchor(memory, witnesses, SigningKey(seed: identity), of: handle, world: world))
        try create(identity: identity, policy: policy)
    }

    var isHonest: Bool { liar == nil }

    private static let someNonce = ThawNonce(uncheckedBytes: [UInt8](repeating: 0, count: ThawNonce.byteCount))

    func anchor(of process: DiskHandle) -> any Anchor {
        Self.anchor(memory, witnesses, identity, of: process, world: world)
    }

    private static func anchor(
        _ memory: Memory, _ witnesses: Witnesses?, _ identity: SigningKey, of process: DiskHandle, world: World
    ) -> any Anchor {
        guard let witnesses else { return MemoryHandle(memory, of: process, world: world) }
        let road = WitnessRoad(witnesses, of: process, world: world)
        return WitnessAnchor(settings: witnesses.settings, identity: identity, transport: road)
    }

    private func create(identity: SecretBytes, policy: TenantPolicy) throws {
        let tenant = TenantRecord(name: Owner.tenant, keySet: [UInt8](repeating: 1, count: 8), policy: policy)
        let sealer = records.sealer
        let view = try withoutFaults {
            try records.load([sealer.configuration, sealer.identity, sealer.tenant(tenant.name)])
        }
        let values: [any ByteCodable] = [
            VaultConfiguration(name: "v\(index)", fleet: fleet, tenants: [tenant.name]), VaultIdentity(seed: identity),
            tenant,
        ]
        let changes = values.enumerated().map { SealedRecords.Change(index: $0, value: $1) }
        try withoutFaults {
            try records.commit(changes, time: view.time, vaultID: id, on: view, using: &generator)
        }
        process = VaultProcess(self)
    }

    // MARK: What the disk holds, and planted bugs

    func account(_ name: AccountName) -> AccountRecord? {
        let position = checks.names.firstIndex(of: name)
        let key = position.map { opened[$0].key } ?? records.sealer.account(name)
        guard let stored = newest(key), let position else { return nil }
        if opened[position].sealed != stored.sealed {
            var record = try? records.sealer.open(AccountRecord.self, stored)
            if let lostEpoch, stored.epoch <= lostEpoch {
                let point = newest(records.sealer.restorePoint).flatMap {
                    try? records.sealer.open(RestorePoint.self, $0)
                }
                record?.freeze(
                    nonce: Self.someNonce, batchesMissed: lostEpoch - stored.epoch, drawn: point?.drawnSerials ?? 0)
            }
            // Which one it is nobody here asks.
            if record?.thawNonce != nil { record?.thawNonce = Self.someNonce }
            opened[position] = (key, stored.sealed, record)
        }
        return opened[position].record
    }

    private func newest(_ key: RecordKey) -> StoredRecord? {
        setAside.map { aside in aside.records.first { $0.key == key } } ?? disk.record(key)
    }

    /// Before anything else: whose records there will be.
    func watch(_ names: [AccountName]) {
        opened = names.map { (records.sealer.account($0), [], nil) }
    }

    func forgetOpened() { watch(checks.names) }

    /// Writes a record as no vault should.
    func tamper(_ name: AccountName, _ edit: (inout AccountRecord) -> Void) {
        guard setAside == nil, var record = account(name) else { return }
        let before = record
        edit(&record)
        guard record != before else { return }
        try? withoutFaults {
            let view = try records.load([records.sealer.account(name)])
            let due = record.dueSeconds(at: view.time)
            try records.commit(
                [SealedRecords.Change(index: 0, value: record, dueSeconds: due)], time: view.time, on: view,
                using: &generator)
        }
    }

    func withoutFaults<Value>(_ body: () throws -> Value) rethrows -> Value {
        let was = world.isCalm
        world.isCalm = true
        defer { world.isCalm = was }
        return try body()
    }

    // MARK: Life of the process

    /// No process is left.
    func halt() {
        process = nil
        rival = nil
        inbox = []
        disk.readBack()
    }

    func crash() {
        guard process != nil || rival != nil else { return }
        world.note("v\(index) crashes")
        halt()
        world.after(milliseconds: world.isCalm ? 1000 : world.draw(1..<7200) * 1000) { self.start() }
    }

    func start() {
        guard process == nil else { return }
        if world.plant == .receiptsDroppedOnRestart {
            for name in checks.names { tamper(name) { $0.charges = [] } }
        }
        if setAside == nil { checks.restarted(self) }
        process = VaultProcess(self)
        world.note("v\(index) starts at epoch \(disk.epoch)")
        settle()
    }

    func startRival() {
        if process != nil, rival == nil { rival = VaultProcess(self) }
        world.after(milliseconds: world.draw(60..<3600) * 1000) { self.rival = nil }
    }

    func settle() {
        guard let process else { return }
        let before = checks.names.map { account($0) }
        var hasMore = true
        while hasMore {
            do throws(LedgerError) { hasMore = try process.worker.settleDue() } catch { hasMore = false }
        }
        _ = process.worker.eraseOldVersions()
        afterStep(before: before, messages: [], process: process)
        if process.handle.isDead { crash() }
    }

    // MARK: Messages

    func receive(_ message: Message) {
        guard process != nil else { return }
        inbox.append(message)
        world.after(milliseconds: world.draw(1..<20)) { self.work() }
    }

    /// Takes what stands in line as one batch, or a part of it.
    private func work() {
        guard let process, !inbox.isEmpty else { return }
        let count = world.chance(perMille: 600) ? 1 : min(inbox.count, 8)
        let batch = Array(inbox.prefix(count))
        inbox.removeFirst(count)
        if !inbox.isEmpty { world.after(milliseconds: 1) { self.work() } }
        isDisturbed = false
        process.handle.beforeCommit = { [weak self] in self?.disturb() }
        perform(batch, on: process)
        if process.handle.isDead { crash() }
    }

    private func disturb() {
        guard let rival, !world.isCalm, world.chance(perMille: 200),
            let message = network.someMessage(for: index)
        else { return }
        isDisturbed = true
        world.note("v\(index) a second process comes between")
        perform([message], on: rival)
        if rival.handle.isDead { self.rival = nil }
        isDisturbed = true
    }

    private func perform(_ batch: [Message], on process: VaultProcess) {
        var messages: [Message] = []
        var commands: [AccountCommand] = []
        for message in batch {
            do throws(Refused) {
                commands.append(AccountCommand(name: message.name, command: try command(message)))
                messages.append(message)
            } catch {
                release(.refused(error.refusal), to: message, before: nil)
            }
        }
        let before = checks.names.map { account($0) }
        let outcomes = process.worker.process(commands)
        afterStep(before: before, messages: messages, process: process)
        // A process that died answers nobody, whatever it had decided.
        if process.handle.isDead, world.plant != .answerBeforeCommit { return }
        for (message, outcome) in zip(messages, outcomes) {
            let position = checks.names.firstIndex(of: message.name)
            answer(message, outcome, before: position.flatMap { before[$0] })
        }
    }

    private func command(_ message: Message) throws(Refused) -> Command {
        guard message.tokenVault == index else { throw Refused(.wrongVault) }
        switch message.operation {
        case .status(let request): return .status(request)
        case .prepare(let request): return .prepare(try CheckedPrepare(request, at: id))
        case .activate(let request): return .activate(request)
        case .retire(let certificate): return .retire(certificate)
        case .evaluate(let request): return .evaluate(request)
        case .confirm(let request): return .confirm(request)
        case .delete(let request): return .delete(request)
        case .forgive(let request): return .forgive(request)
        case .history(let request): return .history(request)
        case .setHead(let request): return .setHead(request)
        case .getHead(let request): return .getHead(request)
        case .thaw(let request): return .thaw(request)
        case .requestDeletion(let request): return .requestDeletion(request)
        }
    }

    private func afterStep(before: [AccountRecord?], messages: [Message], process: VaultProcess) {
        for (position, name) in checks.names.enumerated() {
            let own = messages.filter { $0.name == name }
            if isHonest { world.plant?.spoil(self, name, before: before[position], messages: own) }
            guard isHonest else { continue }
            checks.stepped(self, name, before: before[position], messages: isDisturbed ? nil : own)
        }
    }

    private func answer(_ message: Message, _ outcome: LedgerOutcome, before: AccountRecord?) {
        switch outcome {
        case .failed:
            if world.plant == .answerBeforeCommit { evaluateUncharged(message, before: before) }
            release(.refused(.unavailable), to: message, before: before)
        case .answer(.reply(let reply)):
            release(reply, to: message, before: before)
        case .answer(.evaluate(let charged)):
            release(.evaluated(evaluate(charged)), to: message, before: before)
        }
    }

    private func evaluate(_ charged: ChargedEvaluation) -> EvaluateReply {
        let evaluation = Evaluation(of: charged.blindedElement, share: charged.share, using: &generator)
        return EvaluateReply(
            evaluation: evaluation.element, proof: evaluation.proof, shareKey: evaluation.shareKey,
            envelope: charged.envelope, attemptsLeft: charged.attemptsLeft)
    }

    private func evaluateUncharged(_ message: Message, before: AccountRecord?) {
        guard case .evaluate(let request) = message.operation,
            let registration = before?.registration(request.registrationID)
        else { return }
        let evaluation = Evaluation(of: request.blindedElement, share: registration.share, using: &generator)
        release(
            .evaluated(
                EvaluateReply(
                    evaluation: evaluation.element, proof: evaluation.proof, shareKey: evaluation.shareKey,
                    envelope: registration.record.envelope, attemptsLeft: 0)), to: message, before: before)
    }

    private func release(_ reply: Reply, to message: Message, before: AccountRecord?) {
        let bytes = (try? reply.encoded()) ?? []
        world.note(
            "v\(index) \(message.operation.word) \(message.contents.short) \(message.sender) → \(reply.word) \(sha256(bytes).short)"
        )
        if isHonest, setAside != nil { checks.answeredElsewhere(self, reply) }
        if isHonest { checks.released(self, message, reply, before: before) }
        guard let liar else { return network.answer(message, reply) }
        if let lie = liar.answer(message, truth: reply) { network.answer(message, lie) }
    }
}

extension Operation {
    var word: String { metricWord.replacing("_", with: " ") }
}

extension Reply {
    var word: String {
        switch self {
        case .status(let status): "serial \(status.serial), \(status.state), \(status.attemptsLeft) left"
        case .prepared: "prepared"
        case .activated: "activated"
        case .retired: "retired"
        case .evaluated: "evaluated"
        case .confirmed: "confirmed"
        case .deleted: "deleted"
        case .forgiven: "forgiven"
        case .history: "history"
        case .headSet: "head set"
        case .head: "head"
        case .thawed: "thawed"
        case .waiting: "waiting"
        case .refused(let refusal): "refused: \(refusal)"
        }
    }
}
