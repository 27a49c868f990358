import Primitives
import RecoveryProtocol
import VaultCore

/// Looks at every honest vault after every step, and at every answer that leaves one.
final class Checks {
    let world: World
    private let fleet: Fleet
    /// How many vaults lie.
    private let corrupt: Int
    private let graceSeconds: UInt32
    private let delaySeconds: UInt32?
    private(set) var owners: [Owner] = []
    private(set) var names: [AccountName] = []
    private var vaults: [SimulatedVault] = []
    /// By vault and account.
    private var books: [[Book]] = []
    private var strangers = StrangersGuesses()
    /// At which epochs of its vault one content had an effect. Looked up, never iterated.
    private var effects: [[UInt8]: [UInt64]] = [:]
    /// By vault: the epochs that were lost when a copy took the store's place.
    private var lostEpochs: [Int: [ClosedRange<UInt64>]] = [:]

    /// What is remembered of one account at one vault.
    private struct Book {
        var last: AccountRecord?
        var lastEpoch: UInt64 = 0
        var destroyed: [RegistrationID] = []
        /// Receipts evaluated since the present budget was set, but for the owner's that were given back.
        var outstanding: [Receipt] = []
        /// When the last attempt of the present budget was charged.
        var exhaustedMilliseconds: UInt64?
        /// When somebody asked for what waits now, without the key.
        var requestedMilliseconds: UInt64?
        var isFrozen = false
    }

    init(_ world: World, fleet: Fleet, corrupt: Int, policy: TenantPolicy) {
        self.world = world
        graceSeconds = policy.graceSeconds
        delaySeconds = policy.replacementDelaySeconds
        self.fleet = fleet
        self.corrupt = corrupt
    }

    func watch(_ owners: [Owner], _ vaults: [SimulatedVault]) {
        self.owners = owners
        self.vaults = vaults
        names = owners.map(\.name)
        for vault in vaults { vault.watch(names) }
        books = vaults.map { _ in owners.map { _ in Book() } }
    }

    func forget() { (owners, vaults) = ([], []) }

    /// Those that the promises to owners count on.
    var honest: [SimulatedVault] { vaults.filter { $0.isHonest && !$0.isRestorable } }

    func isThiefs(_ element: GroupElement) { strangers.elements.append(element) }

    private func position(_ name: AccountName) -> Int? { names.firstIndex(of: name) }

    // MARK: After a step

    /// `messages` is nil if another process wrote as well.
    func stepped(_ vault: SimulatedVault, _ name: AccountName, before: AccountRecord?, messages: [Message]?) {
        guard let account = position(name) else { return }
        let after = vault.account(name)
        defer {
            books[vault.index][account].last = after
            books[vault.index][account].lastEpoch = vault.setAside?.epoch ?? vault.disk.epoch
        }
        guard let after else {
            if before != nil { world.fail(.durable, "v\(vault.index) lost the record of an account") }
            return
        }
        guard after != before else { return }
        world.note("v\(vault.index) \(name.account): \(after.outline)")
        checkEffect(vault, before, after, messages)
        guard let before else { return }
        if let previous = after.previous, previous.id != before.previous?.id {
            owners[account].becamePrevious(previous.id, at: vault.index)
        }
        checkSerial(vault, before, after)
        checkCharges(vault, before, after, messages)
        checkContact(vault, before, after, messages)
        checkSuccession(vault, account, before, after)
        checkHead(vault, account, before, after, messages)
        noteBudget(vault, account, before, after)
        noteRequest(vault, account, before, after, messages)
        for owner in owners { checkNeverLost(owner) }
    }

    private func checkEffect(
        _ vault: SimulatedVault, _ before: AccountRecord?, _ after: AccountRecord, _ messages: [Message]?
    ) {
        guard let messages, messages.count == 1, let message = messages.first, let before else { return }
        switch message.operation {
        case .status: return
        case .prepare(let request)
        where request.replacement == nil || (before.active == nil && before.tombstone == nil):
            // A place that any token takes: only what follows a signature is guarded.
            var expected = before
            expected.pending = after.pending
            expected.history = after.history
            if after.pendingSigned == nil { expected.pendingSigned = nil }
            // It may have lapsed: what time alone had done comes with the first message after it.
            if after.requestedChange == nil { expected.requestedChange = nil }
            if after != expected, after.serial == before.serial {
                world.fail(.oneEffect, "an unsigned Prepare changed more than its place at v\(vault.index)")
            }
            return
        default: break
        }
        // What time alone had done is nobody's effect.
        guard !after.isSettled(from: before) else { return }
        var epochs = effects[message.contents, default: []]
        if case .retire = message.operation {
            // It names no serial that a restore would end, and what the vault lost it may be told again.
            let lost = lostEpochs[vault.index, default: []]
            epochs.removeAll { epoch in lost.contains { $0.contains(epoch) } }
        }
        epochs.append(vault.disk.epoch)
        effects[message.contents] = epochs
        let count = epochs.count
        if count > 1 {
            world.fail(
                .oneEffect,
                "\(message.operation.word) \(message.contents.short) had \(count) effects at v\(vault.index)")
        }
    }

    private func checkSerial(_ vault: SimulatedVault, _ before: AccountRecord, _ after: AccountRecord) {
        if after.serial < before.serial { world.fail(.oneEffect, "a serial fell at v\(vault.index)") }
        let isChanged =
            before.active?.recordHash != after.active?.recordHash || before.certificates != after.certificates
            || !before.charges.allSatisfy(after.charges.contains)
        if isChanged, after.serial == before.serial {
            world.fail(.oneEffect, "a signed operation left the serial as it was at v\(vault.index)")
        }
    }

    private func checkCharges(
        _ vault: SimulatedVault, _ before: AccountRecord, _ after: AccountRecord, _ messages: [Message]?
    ) {
        if after.charges.count > fleet.attemptsPerVault {
            world.fail(.bound, "v\(vault.index) holds \(after.charges.count) charges")
        }
        guard let messages, before.active?.recordHash == after.active?.recordHash else { return }
        let listed = messages.flatMap { message -> [Receipt] in
            guard case .confirm(let request) = message.operation, message.sender == .owner else { return [] }
            return request.receipts
        }
        let forgiven = messages.flatMap { message -> [AttemptID] in
            guard case .forgive(let request) = message.operation, message.sender == .owner else { return [] }
            return request.attempts
        }
        for charge in before.charges where !after.charges.contains(charge) && !listed.contains(charge.receipt) {
            if forgiven.contains(charge.attemptID) { continue }
            world.fail(.nothingMinted, "v\(vault.index) gave back an attempt that no Confirm and no Forgive listed")
        }
        let asked = messages.compactMap { message -> Receipt? in
            guard case .evaluate(let request) = message.operation else { return nil }
            return request.receipt
        }
        for charge in after.charges {
            let isTwice = after.charges.count { $0.receipt == charge.receipt } > 1
            let isAsked = before.charges.contains(charge) || asked.contains(charge.receipt)
            if isTwice || !isAsked {
                world.fail(.freeRetry, "v\(vault.index) charged a receipt twice, or one that nobody sent")
            }
        }
    }

    /// What the old key signed takes back what was asked for without it.
    private func checkContact(
        _ vault: SimulatedVault, _ before: AccountRecord, _ after: AccountRecord, _ messages: [Message]?
    ) {
        guard let change = before.requestedChange, after.requestedChange == change, after.serial > before.serial,
            messages?.count == 1, messages?.first?.sender == .owner,
            // What destruction alone did is nobody's word.
            before.active == nil || after.tombstone?.destroyedSeconds == nil
        else { return }
        world.fail(.ownersAlone, "v\(vault.index) kept a stranger's request after its owner's word")
    }

    private func noteRequest(
        _ vault: SimulatedVault, _ account: Int, _ before: AccountRecord, _ after: AccountRecord,
        _ messages: [Message]?
    ) {
        if after.requestedChange == nil { books[vault.index][account].requestedMilliseconds = nil }
        if after.requestedChange != nil, before.requestedChange == nil {
            books[vault.index][account].requestedMilliseconds = world.milliseconds
        }
        let isReplaced = before.active?.recordHash != after.active?.recordHash
        let isThawed =
            messages?.contains { if case .thaw = $0.operation { $0.sender == .owner } else { false } } ?? true
        if isReplaced || isThawed && after.thawNonce == nil { books[vault.index][account].isFrozen = false }
    }

    /// The active registration goes by the owner's word, by destruction, or after the delay, in no other way.
    private func checkSuccession(
        _ vault: SimulatedVault, _ account: Int, _ before: AccountRecord, _ after: AccountRecord
    ) {
        let owner = owners[account]
        guard let old = before.active, old.recordHash != after.active?.recordHash, owner.made(old.recordHash)
        else { return }
        let isDestroyed = after.tombstone?.destroyedSeconds != nil && before.attemptsLeft == 0
        let isOwners = after.active.map { owner.made($0.recordHash) } ?? false
        if isDestroyed || isOwners { return }
        if after.active == nil, owner.hasDeleted || owner.hasRetired(old.id) { return }
        if after.changedWithoutKeySeconds != nil, let delaySeconds,
            let requested = books[vault.index][account].requestedMilliseconds,
            world.milliseconds + 2000 >= requested + UInt64(delaySeconds) * 1000
        {
            world.note("v\(vault.index) let a registration go without its key, after the delay")
            return
        }
        world.fail(.ownersAlone, "v\(vault.index) let a registration go without its owner's word")
    }

    /// A vault that destroyed a record, as a planted bug is about to undo it.
    func noteBudget(_ vault: SimulatedVault, _ name: AccountName, _ before: AccountRecord, _ after: AccountRecord) {
        if let account = position(name) { noteBudget(vault, account, before, after) }
    }

    private func noteBudget(
        _ vault: SimulatedVault, _ account: Int, _ before: AccountRecord, _ after: AccountRecord
    ) {
        var book = books[vault.index][account]
        defer { books[vault.index][account] = book }
        // Once: another process may have done it in the middle of this one's step.
        if after.tombstone?.destroyedSeconds != nil, let active = before.active, !book.destroyed.contains(active.id) {
            let gone = [before.active?.id, before.previous?.id].compactMap { $0 }
            world.note("v\(vault.index) destroyed \(gone.map(\.bytes.short))")
            book.destroyed += gone
            let due = (book.exhaustedMilliseconds ?? .max / 2) + UInt64(graceSeconds) * 1000
            if world.milliseconds + 2000 < due {
                world.fail(.destroyed, "v\(vault.index) destroyed before a lost reply could be asked for again")
            }
        }
        if before.active?.recordHash != after.active?.recordHash, after.charges.isEmpty {
            book.outstanding = []
            book.exhaustedMilliseconds = nil
        }
        if after.attemptsLeft > 0 { book.exhaustedMilliseconds = nil }
        if after.active != nil, after.attemptsLeft == 0, book.exhaustedMilliseconds == nil {
            book.exhaustedMilliseconds = world.milliseconds
        }
        // A stranger's attempt never comes back, whatever the vault believes.
        let back = before.charges.filter { charge in !after.charges.contains { $0.receipt == charge.receipt } }
        book.outstanding.removeAll { receipt in
            back.contains { $0.receipt == receipt } && owners[account].receipts.contains(receipt)
        }
    }

    /// A registration that was acknowledged has t honest vaults that hold it, or the one that took its place has,
    /// whatever was interrupted; until guesses destroy it.
    private func checkNeverLost(_ owner: Owner) {
        guard owner.isProtected else { return }
        let records = honest.map { $0.account(owner.name) }
        func isHeld(_ made: PlainRegistration, orDestroyed: Bool) -> Bool {
            records.count { record in
                record?.registration(made.id)?.recordHash == made.recordHash
                    || orDestroyed && record?.tombstone?.destroyedSeconds != nil
                    || orDestroyed && record?.changedWithoutKeySeconds != nil
            } >= fleet.threshold
        }
        if owner.all.contains(where: { isHeld($0, orDestroyed: false) }) { return }
        if owner.all.contains(where: { isHeld($0, orDestroyed: true) }) { return owner.losesToStrangers() }
        if isLostToGuesses(owner) { return owner.losesToStrangers() }
        world.fail(.neverLost, "no registration of \(owner.name.account) is held by t honest vaults")
    }

    /// Guesses alone left fewer than t honest vaults what stands. Its successor, which not all vaults acknowledged, is
    /// promised to nobody, and the next change takes it back: the device cannot tell this from t−1 lies.
    func isLostToGuesses(_ owner: Owner) -> Bool {
        guard let standing = owner.standing, let account = position(owner.name) else { return false }
        let left = honest.count { !books[$0.index][account].destroyed.contains(standing.id) }
        return left < fleet.threshold
    }

    /// A new process: what was let out is still there.
    func restarted(_ vault: SimulatedVault) {
        guard vault.isHonest else { return }
        for (account, name) in names.enumerated() {
            let book = books[vault.index][account]
            if vault.disk.epoch < book.lastEpoch || vault.account(name) != book.last {
                world.fail(.durable, "v\(vault.index) came back without what it had answered for")
            }
        }
    }

    /// It came back from a copy, and what happened since is lost there.
    func restored(_ vault: SimulatedVault, copyEpoch: UInt64, lostEpoch: UInt64) {
        if copyEpoch < lostEpoch { lostEpochs[vault.index, default: []].append(copyEpoch + 1...lostEpoch) }
        for (account, name) in names.enumerated() {
            let record = vault.account(name)
            books[vault.index][account] = Book(last: record, lastEpoch: vault.disk.epoch)
            books[vault.index][account].isFrozen = record?.thawNonce != nil
            // Its last attempt was before the copy, and when is lost with the rest.
            if record?.attemptsLeft == 0 { books[vault.index][account].exhaustedMilliseconds = 0 }
        }
    }

    // MARK: When an answer leaves

    /// While another store stands in its store's place, a vault says nothing that comes out of it.
    func answeredElsewhere(_ vault: SimulatedVault, _ reply: Reply) {
        switch reply {
        case .refused(.unavailable), .refused(.wrongVault), .refused(.badShare): return
        default: world.fail(.rolledBack, "v\(vault.index) served a store that is not its newest: \(reply.word)")
        }
    }

    /// `before` is the record before the batch.
    func released(_ vault: SimulatedVault, _ message: Message, _ reply: Reply, before: AccountRecord?) {
        guard let account = position(message.name), let record = vault.account(message.name) else { return }
        switch (message.operation, reply) {
        case (.evaluate(let request), .evaluated): evaluated(vault, account, request, record)
        case (.evaluate(let request), .refused(let refusal)):
            guard let before, before.charges.contains(where: { $0.receipt == request.receipt }) else { return }
            refused(vault, request, refusal, record)
        case (.activate(let request), .activated):
            if record.active?.recordHash != request.recordHash, !isSuperseded(request, record) {
                world.fail(.durable, "v\(vault.index) acknowledged an Activate that is not in its store")
            }
        case (.setHead(let request), .headSet):
            if record.head?.head != request.head, record.serial <= request.serial + 1 {
                world.fail(.heads, "v\(vault.index) acknowledged a head that is not in its store")
            }
        case (.getHead, .head):
            // Where nothing was registered, a thief may have put a registration with a head of its own.
            if message.sender != .owner, record.active.map({ owners[account].made($0.recordHash) }) == true {
                world.fail(.heads, "v\(vault.index) showed a stranger the head")
            }
        default: break
        }
    }

    /// A later message of the same batch may have changed it again.
    private func isSuperseded(_ request: ActivateRequest, _ record: AccountRecord) -> Bool {
        record.serial > request.serial + 1
    }

    private func evaluated(
        _ vault: SimulatedVault, _ account: Int, _ request: EvaluateRequest, _ record: AccountRecord
    ) {
        let receipt = request.receipt
        let book = books[vault.index][account]
        if !record.charges.contains(where: { $0.receipt == receipt }), record.serial == request.serial {
            world.fail(.chargedFirst, "v\(vault.index) evaluated without a charge in its store")
        }
        if book.isFrozen { world.fail(.frozen, "v\(vault.index) evaluated what nobody had thawed") }
        if book.destroyed.contains(request.registrationID) {
            world.fail(.destroyed, "v\(vault.index) evaluated after destruction")
        }
        let isOfThisBudget =
            record.charges.contains { $0.receipt == receipt } || record.serial == request.serial
        if isOfThisBudget, !book.outstanding.contains(receipt) {
            books[vault.index][account].outstanding.append(receipt)
            if book.outstanding.count + 1 > fleet.attemptsPerVault {
                world.fail(.bound, "v\(vault.index) answered \(book.outstanding.count + 1) attempts of one budget")
            }
        }
        guard !vault.isRestorable else { return }
        let needed = fleet.threshold - corrupt
        let guesses = strangers.answered(request, by: vault.index, needed: needed)
        let budgets = owners[account].budgets(of: request.registrationID)
        if let most = fleet.guessesMax(corrupt: corrupt), guesses > most * budgets {
            world.fail(.bound, "strangers had \(guesses) guesses; \(most) with \(corrupt) corrupt vaults")
        }
    }

    private func refused(
        _ vault: SimulatedVault, _ request: EvaluateRequest, _ refusal: Refusal, _ record: AccountRecord
    ) {
        switch refusal {
        case .unavailable, .wrongVault, .busy: return
        // Repeats, too, wait for the owner's word.
        case .frozen where record.thawNonce != nil: return
        default: break
        }
        let isCharged = record.charges.contains { $0.receipt == request.receipt }
        if isCharged, record.registration(request.registrationID) != nil {
            world.fail(.freeRetry, "v\(vault.index) refused a receipt that it had charged: \(refusal)")
        }
    }

    /// After days in which every vault served: what has no attempt left is gone.
    func checkDestruction() {
        for vault in honest {
            for name in names {
                if let record = vault.account(name), record.active != nil, record.attemptsLeft == 0 {
                    world.fail(.destroyed, "v\(vault.index) still holds what should have been destroyed")
                }
            }
        }
    }
}

/// Which of a stranger's elements were evaluated by which honest vaults.
private struct StrangersGuesses {
    private struct Guess {
        let registrationID: RegistrationID
        let element: GroupElement
        var vaults: [Int]
    }

    var elements: [GroupElement] = []
    private var guesses: [Guess] = []

    /// The complete guesses at this registration so far: `needed` honest vaults answered, liars the rest.
    mutating func answered(_ request: EvaluateRequest, by vault: Int, needed: Int) -> Int {
        guard elements.contains(request.blindedElement) else { return 0 }
        let position = guesses.firstIndex {
            $0.registrationID == request.registrationID && $0.element == request.blindedElement
        }
        if let position {
            if !guesses[position].vaults.contains(vault) { guesses[position].vaults.append(vault) }
        } else {
            guesses.append(
                Guess(registrationID: request.registrationID, element: request.blindedElement, vaults: [vault]))
        }
        return guesses.count { $0.registrationID == request.registrationID && $0.vaults.count >= needed }
    }
}

extension AccountRecord {
    /// Whether expiry or destruction explains how it differs from `earlier`.
    fileprivate func isSettled(from earlier: AccountRecord) -> Bool {
        if tombstone?.destroyedSeconds != nil, earlier.active != nil { return true }
        var expected = earlier
        if pending == nil { expected.pending = nil }
        if pendingSigned == nil { expected.pendingSigned = nil }
        if requestedChange == nil { expected.requestedChange = nil }
        return self == expected
    }

    /// For the trace.
    fileprivate var outline: String {
        func name(_ registration: Registration?) -> String { registration.map { $0.id.bytes.short } ?? "–" }
        let places = [active, previous, pending?.registration, pendingSigned?.registration].map(name)
        let receipts = charges.map { $0.receipt.bytes.short }
        return
            "serial \(serial), held \(places.joined(separator: " ")), charges \(receipts), \(tombstone == nil ? "" : "tombstone, ")\(certificates.count) certificates"
    }
}
