import Primitives
import RecoveryProtocol
import VaultCore

/// The records that one batch is about, as they are while the batch is applied.
struct LedgerPage {
    let view: SealedRecords.View
    private let configuration: VaultConfiguration
    /// Where in the view's list each command's tenant and account stand.
    private let places: [(tenant: Int, account: Int)]
    /// By position; nil where there is none.
    private var tenants: [TenantRecord?]
    private var accounts: [AccountRecord?]
    /// By position: tenants and accounts that are not served, for their records are damaged.
    private var damaged: [Int: LedgerError] = [:]
    /// In the order of their first change.
    private var changed: [Int] = []
    private(set) var erasesSecrets = false
    /// For the operator's counters, once the batch is in the store.
    private(set) var events: [(tenant: String, events: [VaultEvent])] = []
    private(set) var policies: [(tenant: String, policy: TenantPolicy)] = []

    init(_ batch: [AccountCommand], _ records: SealedRecords) throws(LedgerError) {
        var keys = [records.sealer.configuration]
        var positions: [RecordKey: Int] = [:]
        func position(of key: RecordKey) -> Int {
            if let known = positions[key] { return known }
            positions[key] = keys.count
            keys.append(key)
            return keys.count - 1
        }
        // One tenant's people mostly come one after the other: its name is hashed for the first of them.
        var last: (tenant: String, position: Int)?
        places = batch.map { command in
            let name = command.name.tenant
            let known = last.flatMap { $0.tenant.utf8.elementsEqual(name.utf8) ? $0.position : nil }
            let tenant = known ?? position(of: records.sealer.tenant(name))
            last = (name, tenant)
            return (tenant: tenant, account: position(of: command.key ?? records.sealer.account(command.name)))
        }
        view = try records.load(keys)
        guard let configuration = try view.record(VaultConfiguration.self, at: 0) else {
            throw .damaged("the store holds no vault")
        }
        self.configuration = configuration
        tenants = Array(repeating: nil, count: keys.count)
        accounts = Array(repeating: nil, count: keys.count)
        for place in places {
            do throws(LedgerError) {
                if accounts[place.account] == nil { accounts[place.account] = try view.account(at: place.account) }
            } catch { damaged[place.account] = error }
            do throws(LedgerError) {
                if tenants[place.tenant] == nil {
                    tenants[place.tenant] = try view.record(TenantRecord.self, at: place.tenant)
                }
            } catch { damaged[place.tenant] = error }
        }
    }

    var isChanged: Bool { !changed.isEmpty }

    var damagedRecords: [(key: RecordKey, error: LedgerError)] {
        damaged.sorted { $0.key < $1.key }.map { (view.keys[$0.key], $0.value) }
    }

    /// Check and charge in one step: what the next command of the batch sees is what this one left.
    ///
    /// `number` is the command's place in the batch.
    mutating func apply(
        _ command: AccountCommand, number: Int, vaultID: VaultID, time: LedgerTime, breaker: inout CircuitBreaker
    ) -> LedgerOutcome {
        guard let fleet = configuration.fleet else { return .answer(.reply(.refused(.unavailable))) }
        let position = places[number].account
        if let error = damaged[position] ?? damaged[places[number].tenant] { return .failed(error) }
        guard let tenant = tenants[places[number].tenant] else { return .answer(.reply(.refused(.unauthorised))) }
        let isSuspended = breaker.isOpen(tenant.name, policy: tenant.policy, atSeconds: time.seconds)
        let context = MachineContext(
            name: command.name, vaultID: vaultID, fleet: fleet, policy: tenant.policy, time: time,
            isSuspended: isSuspended, isOverRate: command.isOverRate)
        // The first serial is derived, so an account that nobody has met looks like one that was met, and takes no place
        // in the store before it registers.
        let record = accounts[position] ?? view.newAccount(command.name)
        let step = Machine.apply(command.command, to: record, in: context)
        breaker.count(
            step.events, of: view.keys[position], tenant.name,
            accountMax: Int(tenant.policy.budget ?? UInt8(clamping: fleet.attemptsPerVault)), atSeconds: time.seconds)
        if !step.events.isEmpty { events.append((tenant.name, step.events)) }
        if !policies.contains(where: { $0.tenant == tenant.name }) { policies.append((tenant.name, tenant.policy)) }
        if step.record != record {
            accounts[position] = step.record
            if !changed.contains(position) { changed.append(position) }
            erasesSecrets = erasesSecrets || step.erasesSecrets
        }
        return .answer(step.answer)
    }

    func changes(at time: LedgerTime) -> [SealedRecords.Change] {
        changed.compactMap { position in
            accounts[position].map {
                SealedRecords.Change(index: position, value: $0, dueSeconds: $0.dueSeconds(at: time))
            }
        }
    }
}
