package import Primitives
import RecoveryProtocol
package import VaultCore

/// What an operator does with a vault's store, also while the vault serves: the epoch decides who was first, and the
/// loser loads again.
package struct VaultAdministration: Sendable {
    private static let conflictsMax = 64

    private let records: SealedRecords

    package init(records: SealedRecords) { self.records = records }

    /// Puts a new vault into an empty store, and returns its identity.
    ///
    /// What the anchor is stands in the store, sealed: whoever could exchange it would exchange the memory too.
    package func create(
        name: String, identity: VaultIdentity? = nil, anchor: AnchorSettings? = nil,
        using generator: inout some RandomNumberGenerator
    ) throws(LedgerError) -> VerifyingKey {
        let identity = identity ?? VaultIdentity(seed: .random(SigningKey.seedBytes, using: &generator))
        let sealer = records.sealer
        let view = try records.load([sealer.configuration, sealer.identity, sealer.anchorSettings])
        guard view.snapshot.epoch == 0 else { throw .damaged("there is a vault in this store already") }
        var changes = [
            SealedRecords.Change(index: 0, value: VaultConfiguration(name: name)),
            SealedRecords.Change(index: 1, value: identity),
        ]
        if let anchor { changes.append(SealedRecords.Change(index: 2, value: anchor)) }
        let key = identity.signingKey.verifyingKey
        try records.commit(
            changes, time: view.time, vaultID: VaultID(identityKey: key), on: view, using: &generator)
        return key
    }

    package func identity() throws(LedgerError) -> SigningKey {
        let view = try records.load([records.sealer.identity])
        guard let identity = try view.record(VaultIdentity.self, at: 0) else {
            throw .damaged("the store holds no vault")
        }
        guard VaultID(identityKey: identity.signingKey.verifyingKey) == view.head.vaultID else {
            throw .damaged("the store's head is another vault's")
        }
        return identity.signingKey
    }

    package func configuration() throws(LedgerError) -> VaultConfiguration {
        let view = try records.load([records.sealer.configuration])
        guard let configuration = try view.record(VaultConfiguration.self, at: 0) else {
            throw .damaged("the store holds no vault")
        }
        return configuration
    }

    package func tenants() throws(LedgerError) -> [TenantRecord] {
        let names = try configuration().tenants
        let view = try records.load(names.map(records.sealer.tenant))
        var tenants: [TenantRecord] = []
        for index in names.indices {
            if let tenant = try view.record(TenantRecord.self, at: index) { tenants.append(tenant) }
        }
        return tenants
    }

    /// This one alone, so that another one's damaged record stops nothing here. Nil if there is no such tenant.
    package func tenant(_ name: String) throws(LedgerError) -> TenantRecord? {
        guard try configuration().tenants.contains(name) else { return nil }
        return try records.load([records.sealer.tenant(name)]).record(TenantRecord.self, at: 0)
    }

    /// Puts one fleet in the place of another, if nobody else did so in between.
    func replaceFleet(_ known: Fleet?, by fleet: Fleet) throws(LedgerError) {
        let isReplaced = try change { configuration, _ in
            guard configuration.fleet == known else { return nil }
            configuration.fleet = fleet
            return []
        }
        guard isReplaced else { throw .conflict }
    }

    /// Adds a tenant, or replaces its keys and policy, whatever they were.
    package func setTenant(_ tenant: TenantRecord) throws(LedgerError) {
        _ = try change(also: records.sealer.tenant(tenant.name)) { configuration, _ in
            Self.put(tenant, into: &configuration)
        }
    }

    /// Puts a tenant in the place of what was read (nil: there was none). False, and nothing is changed, if somebody else
    /// changed it in between: read it again.
    package func replaceTenant(_ known: TenantRecord?, by tenant: TenantRecord) throws(LedgerError) -> Bool {
        try change(also: records.sealer.tenant(tenant.name)) { configuration, view throws(LedgerError) in
            // One that was removed is there still.
            let isThere = configuration.tenants.contains(tenant.name)
            guard try (isThere ? view.record(TenantRecord.self, at: 1) : nil) == known else { return nil }
            return Self.put(tenant, into: &configuration)
        }
    }

    private static func put(
        _ tenant: TenantRecord, into configuration: inout VaultConfiguration
    ) -> [SealedRecords.Change] {
        if !configuration.tenants.contains(tenant.name) {
            configuration.tenants = (configuration.tenants + [tenant.name]).sorted()
        }
        return [SealedRecords.Change(index: 1, value: tenant)]
    }

    /// Its people's shares stay, and wait for the tenant to be added again. False if there is no such tenant.
    package func removeTenant(_ name: String) throws(LedgerError) -> Bool {
        try change { configuration, _ in
            guard configuration.tenants.contains(name) else { return nil }
            configuration.tenants.removeAll { $0 == name }
            return []
        }
    }

    /// What `edit` decides holds for the store as it is when it is written. False: it decided to change nothing.
    private func change(
        also key: RecordKey? = nil,
        _ edit: (inout VaultConfiguration, SealedRecords.View) throws(LedgerError) -> [SealedRecords.Change]?
    ) throws(LedgerError) -> Bool {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<Self.conflictsMax {
            let view = try records.load([records.sealer.configuration] + (key.map { [$0] } ?? []))
            guard var configuration = try view.record(VaultConfiguration.self, at: 0) else {
                throw .damaged("the store holds no vault")
            }
            guard let others = try edit(&configuration, view) else { return false }
            do throws(LedgerError) {
                try records.commit(
                    [SealedRecords.Change(index: 0, value: configuration)] + others, time: view.time, on: view,
                    using: &generator)
                return true
            } catch {
                guard error == .conflict else { throw error }
            }
        }
        throw .conflict
    }
}
