import Primitives
import RecoveryProtocol
import VaultCore

/// The records that one batch is about, as they are while the batch is applied.
struct LedgerPage {
    let view: SealedRecords.View
    private let configuration: VaultConfiguration
    private let sealer: RecordSealer
    /// Where in the view's list a key stands.
    private let positions: [RecordKey: Int]
    private var accounts: [Int: AccountRecord] = [:]
    /// In the order of their first change.
    private var changed: [Int] = []
    private(set) var erasesSecrets = false
    /// For the operator's counters, once the batch is in the store.
    private(set) var events: [(tenant: String, events: [VaultEvent])] = []
    private(set) var policies: [(tenant: String, policy: TenantPolicy)] = []

    init(_ batch: [AccountCommand], _ records: SealedRecords) throws(LedgerError) {
        var keys = [records.sealer.configuration]
        var positions: [RecordKey: Int] = [:]
        for command in batch {
            for key in [records.sealer.tenant(command.name.tenant), records.sealer.account(command.name)]
            where positions[key] == nil {
                positions[key] = keys.count
                keys.append(key)
            }
        }
        view = try records.load(keys)
        guard let configuration = try view.record(VaultConfiguration.self, at: 0) else {
            throw .damaged("the store holds no vault")
        }
        self.configuration = configuration
        self.positions = positions
        sealer = records.sealer
        for command in batch {
            guard let position = positions[sealer.account(command.name)] else { continue }
            accounts[position] = try view.account(at: position)
        }
    }

    var isChanged: Bool { !changed.isEmpty }

    /// Check and charge in one step: what the next command of the batch sees is what this one left.
    mutating func apply(
        _ command: AccountCommand, vaultID: VaultID, time: LedgerTime, breaker: inout CircuitBreaker
    ) -> Answer {
        guard
            let fleet = configuration.fleet,
            let position = positions[sealer.account(command.name)],
            let tenantPosition = positions[sealer.tenant(command.name.tenant)]
        else { return .reply(.refused(.unavailable)) }
        guard let tenant = try? view.record(TenantRecord.self, at: tenantPosition) else {
            return .reply(.refused(.unauthorised))
        }
        let isSuspended = breaker.isOpen(tenant.name, policy: tenant.policy, atSeconds: time.seconds)
        let context = MachineContext(
            name: command.name, vaultID: vaultID, fleet: fleet, policy: tenant.policy, time: time,
            isSuspended: isSuspended, isOverRate: command.isOverRate)
        // The first serial is derived, so an account that nobody has met looks like one that was met, and takes no place
        // in the store before it registers.
        let record = accounts[position] ?? view.newAccount(command.name)
        let step = Machine.apply(command.command, to: record, in: context)
        breaker.count(
            step.events, of: sealer.account(command.name), tenant.name,
            accountMax: Int(tenant.policy.budget ?? UInt8(clamping: fleet.attemptsPerVault)), atSeconds: time.seconds)
        if !step.events.isEmpty { events.append((tenant.name, step.events)) }
        if !policies.contains(where: { $0.tenant == tenant.name }) { policies.append((tenant.name, tenant.policy)) }
        if step.record != record {
            accounts[position] = step.record
            if !changed.contains(position) { changed.append(position) }
            erasesSecrets = erasesSecrets || step.erasesSecrets
        }
        return step.answer
    }

    func changes(at time: LedgerTime) -> [SealedRecords.Change] {
        changed.compactMap { position in
            accounts[position].map {
                SealedRecords.Change(index: position, value: $0, dueSeconds: $0.dueSeconds(at: time))
            }
        }
    }
}
