import RecoveryProtocol
import VaultCore

extension Plant {
    /// Does to a record, after a step, what a vault with this bug would have done in it.
    func spoil(_ vault: SimulatedVault, _ name: AccountName, before: AccountRecord?, messages: [Message]) {
        guard let before, let after = vault.account(name) else { return }
        switch self {
        case .retryChargesTwice: chargeAgain(vault, name, before, messages)
        case .confirmForgivesStrangers:
            let isConfirmed = messages.contains { if case .confirm = $0.operation { true } else { false } }
            if isConfirmed, after.serial > before.serial, after.active?.id == before.active?.id {
                vault.tamper(name) { $0.charges = [] }
            }
        case .serialNotRaised:
            if after.active != nil, after.serial > before.serial { vault.tamper(name) { $0.serial = before.serial } }
        case .destructionForgets:
            if after.tombstone?.destroyedSeconds != nil, before.active != nil {
                vault.checks.noteBudget(vault, name, before, after)
                vault.tamper(name) {
                    $0.active = before.active
                    $0.budget = before.budget
                    $0.tombstone = nil
                }
            }
        case .destructionNeverComes:
            vault.tamper(name) { $0.destroyServingSeconds = nil }
        case .forgiveForgivesAll:
            let isForgiven = messages.contains { if case .forgive = $0.operation { true } else { false } }
            if isForgiven, after.serial > before.serial, after.active?.id == before.active?.id {
                vault.tamper(name) { $0.charges = [] }
            }
        case .delayIgnored:
            if let change = after.requestedChange, before.requestedChange == nil {
                vault.tamper(name) {
                    $0.requestedChange = RequestedChange(
                        replacement: change.replacement, requestedSeconds: change.requestedSeconds,
                        allowedServingSeconds: 0, lapsesServingSeconds: change.lapsesServingSeconds)
                }
            }
        case .contactIgnored:
            if let change = before.requestedChange, after.active?.id == before.active?.id {
                vault.tamper(name) { if $0.requestedChange == nil { $0.requestedChange = change } }
            }
        case .changeForgetsHead:
            if after.active?.id != before.active?.id { vault.tamper(name) { $0.head = nil } }
        case .headForAnyone:
            for case .setHead(let request) in messages.map(\.operation) where request.serial == before.serial {
                vault.tamper(name) { if $0.active != nil { $0.head = KeptHead(head: request.head) } }
            }
        case .olderHeadWins:
            let sets = messages.filter { $0.sender == .owner }.map(\.operation)
            for case .setHead(let request) in sets where request.registrationID == after.active?.id {
                vault.tamper(name) { $0.head = KeptHead(head: request.head) }
            }
        case .tokenReplaces: replace(vault, name, after, messages)
        case .lastAttemptDestroys:
            if after.active != nil, after.attemptsLeft == 0, before.attemptsLeft > 0 {
                vault.tamper(name) { $0.destroyServingSeconds = 0 }
            }
        default: break
        }
    }

    private func chargeAgain(
        _ vault: SimulatedVault, _ name: AccountName, _ before: AccountRecord, _ messages: [Message]
    ) {
        for case .evaluate(let request) in messages.map(\.operation) {
            guard let charge = before.charges.first(where: { $0.receipt == request.receipt }) else { continue }
            vault.tamper(name) { if $0.attemptsLeft > 0 { $0.charges.append(charge) } }
        }
    }

    private func replace(_ vault: SimulatedVault, _ name: AccountName, _ after: AccountRecord, _ messages: [Message]) {
        for case .activate(let request) in messages.map(\.operation) {
            guard let waiting = after.pending?.registration, waiting.recordHash == request.recordHash else { continue }
            vault.tamper(name) {
                $0.previous = $0.active
                $0.active = waiting
                $0.pending = nil
                $0.charges = []
                $0.serial += 1
            }
        }
    }
}
