import ByteCoding
import Primitives
import RecoveryProtocol

/// Decides everything that a vault may or may not do, one account and one command at a time. Specs/vault.md has the
/// rules as a table.
package struct Machine {
    let context: MachineContext
    var record: AccountRecord
    var events: [VaultEvent] = []

    private init(_ record: AccountRecord, _ context: MachineContext) {
        self.record = record
        self.context = context
    }

    /// Applies one command. A refusal changes nothing but what time alone had changed already.
    package static func apply(_ command: Command, to record: AccountRecord, in context: MachineContext) -> Step {
        var machine = Machine(record, context)
        machine.settle(at: context.time)
        let settled = machine
        let answer: Answer
        do throws(Refused) {
            answer = try machine.perform(command)
        } catch {
            machine = settled
            answer = .reply(.refused(error.refusal))
        }
        return Step(
            record: machine.record, answer: answer, events: machine.events,
            erasesSecrets: machine.record.lacksSecrets(of: record))
    }

    /// Does what time alone does: expiry and destruction. Also the first thing that every command does.
    package static func tick(_ record: AccountRecord, at time: LedgerTime) -> (
        record: AccountRecord, events: [VaultEvent], erasesSecrets: Bool
    ) {
        var settled = record
        let events = settled.settle(at: time)
        return (settled, events, settled.lacksSecrets(of: record))
    }

    private mutating func settle(at time: LedgerTime) {
        events += record.settle(at: time)
    }

    private mutating func perform(_ command: Command) throws(Refused) -> Answer {
        switch command {
        case .status(let request): .reply(.status(status(request)))
        case .prepare(let prepare): .reply(try self.prepare(prepare))
        case .activate(let request): .reply(try activate(request))
        case .retire(let certificate): .reply(try retire(certificate))
        case .evaluate(let request): .evaluate(try evaluate(request))
        case .confirm(let request): .reply(try confirm(request))
        case .delete(let request): .reply(try delete(request))
        case .forgive(let request): .reply(try forgive(request))
        case .history(let request): .reply(try history(request))
        case .setHead(let request): .reply(try setHead(request))
        case .getHead(let request): .reply(try getHead(request))
        case .thaw(let request): .reply(try thaw(request))
        case .requestDeletion(let request): .reply(try requestDeletion(request))
        }
    }

    // MARK: What several operations ask

    /// Anything that is not an exact repeat of a kept receipt must build on the present state; so one sealed message
    /// has at most one effect, whoever repeats it.
    func requireSerial(_ serial: UInt64) throws(Refused) {
        guard serial == record.serial else { throw Refused(.staleSerial(current: record.serial)) }
    }

    func require(
        _ signature: Signature, by key: VerifyingKey,
        over signed: (SigningContext) throws -> [UInt8]
    ) throws(Refused) {
        let signing = SigningContext(
            fleetID: context.fleet.id, vaultID: context.vaultID, name: context.name, serial: record.serial)
        guard let bytes = try? signed(signing), key.isValid(signature, over: bytes) else {
            throw Refused(.badSignature)
        }
    }

    /// A signed operation of whoever manages the registration. While the record is frozen there is none but Thaw: a
    /// message from before the restore may be about what the vault has forgotten.
    mutating func requireOwner(
        _ signature: Signature, by key: VerifyingKey,
        over signed: (SigningContext) throws -> [UInt8]
    ) throws(Refused) {
        try requireThawed()
        try require(signature, by: key, over: signed)
        heardFromOwner()
    }

    func requireThawed() throws(Refused) {
        guard record.thawNonce == nil else { throw Refused(.frozen) }
    }

    mutating func advanceSerial() {
        // Random below 2^63 at first: nobody lives to see the end of it, and it must not fall.
        if record.serial < .max { record.serial += 1 }
    }

    /// The refusal for an account without an active registration.
    var absence: Refusal {
        if let seconds = record.tombstone?.destroyedSeconds { return .destroyed(at: Timestamp(unixSeconds: seconds)) }
        return .notRegistered
    }

    var erasedAt: Timestamp {
        let left = record.destroyServingSeconds.map { $0.saturatingSubtract(context.time.servingSeconds) } ?? 0
        return Timestamp(unixSeconds: context.time.seconds).adding(seconds: left)
    }

    /// When the next attempt may be made; zero if now.
    var notBefore: Timestamp {
        guard let last = record.charges.last, record.attemptsLeft > 0 else { return Timestamp(unixSeconds: 0) }
        let wait = context.policy.waitSeconds(attemptsLeft: record.attemptsLeft)
        let time = Timestamp(unixSeconds: last.chargedSeconds).adding(seconds: wait)
        return time.unixSeconds > context.time.seconds ? time : Timestamp(unixSeconds: 0)
    }

    /// g for a record of this generation of the fleet.
    func budget(for fleetVersion: UInt32) -> UInt8 {
        if let budget = context.policy.budget { return min(budget, UInt8(Limits.receiptsMax)) }
        let fleet = context.fleet
        let generation = fleet.generation(version: fleetVersion) ?? fleet.current
        let promised = Fleet.attemptsPerVault(promisedTotal: Int(fleet.promisedTotal), in: generation)
        return UInt8(clamping: min(max(promised, 1), Limits.receiptsMax))
    }
}
