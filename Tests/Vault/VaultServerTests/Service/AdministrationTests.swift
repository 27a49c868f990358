import ByteCoding
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

@Suite struct `Administration` {
    /// A vault that stands first in a fleet of three, with the keys of all of them.
    private struct Member {
        let administration: VaultAdministration
        let identities: [SigningKey]
        let fleet: Fleet

        init() throws {
            var generator = SystemRandomNumberGenerator()
            let records = SealedRecords(
                store: MemoryRecordStore(), dataKey: .random(32, using: &generator), anchor: MemoryAnchor())
            administration = VaultAdministration(records: records)
            _ = try administration.create(name: "one", anchor: .file("unused"), using: &generator)
            identities = try [administration.identity()] + (0..<2).map { _ in SigningKey.random(using: &generator) }
            let vaults = identities.enumerated().map { position, identity in
                Fleet.Vault(
                    index: UInt8(position + 1), identityKey: identity.verifyingKey, urls: ["https://v.example"])
            }
            fleet = try Fleet(
                id: .random(using: &generator), promisedTotal: 10, vaults: vaults,
                generations: [.init(version: 1, threshold: 2, indices: [1, 2, 3])])
            try administration.setFleet(fleet)
        }

        func next() throws -> Fleet {
            var generator = SystemRandomNumberGenerator()
            let joining = SigningKey.random(using: &generator).verifyingKey
            return try fleet.next(adding: [(key: joining, urls: ["https://new.example"])], retiring: [3])
        }

        func signatures(of next: Fleet, by signers: [Int]) throws -> [FleetSignature] {
            try signers.map { signer in
                FleetSignature(
                    index: UInt8(signer + 1), signature: identities[signer].sign(try SignedBytes.fleet(next)))
            }
        }
    }

    @Test func `a tenant that somebody else changed meanwhile is not written over`() throws {
        let administration = try Member().administration
        func tenant(_ keys: String, budget: UInt8? = nil) -> TenantRecord {
            var policy = TenantPolicy()
            policy.budget = budget
            return TenantRecord(name: "app", keySet: Array(keys.utf8), policy: policy)
        }
        #expect(try !administration.replaceTenant(tenant("a"), by: tenant("b")))
        #expect(try administration.tenant("app") == nil)
        #expect(try administration.replaceTenant(nil, by: tenant("a")))
        #expect(try !administration.replaceTenant(nil, by: tenant("b")))
        #expect(try administration.replaceTenant(tenant("a"), by: tenant("a", budget: 3)))
        #expect(try !administration.replaceTenant(tenant("a"), by: tenant("b")))
        #expect(try administration.tenant("app") == tenant("a", budget: 3))
        // One that was removed is none, though its record stays.
        #expect(try administration.removeTenant("app"))
        #expect(try !administration.removeTenant("app"))
        #expect(try !administration.replaceTenant(tenant("a", budget: 3), by: tenant("b")))
        #expect(try administration.replaceTenant(nil, by: tenant("b")))
        #expect(try administration.tenants() == [tenant("b")])
    }

    @Test func `a newer version needs the word of t vaults of the one before`() throws {
        let member = try Member()
        let next = try member.next()
        for signers in [[], [0], [0, 0]] {
            let signatures = try member.signatures(of: next, by: signers)
            #expect(throws: FleetSettingError.update(.tooFewSignatures(valid: signers.isEmpty ? 0 : 1))) {
                try member.administration.setFleet(next, signatures: signatures)
            }
        }
        #expect(try member.administration.configuration().fleet == member.fleet)
        try member.administration.setFleet(next, signatures: member.signatures(of: next, by: [0, 2]))
        #expect(try member.administration.configuration().fleet == next)
        #expect(throws: FleetSettingError.update(.notNewer)) { try member.administration.setFleet(member.fleet) }
    }

    @Test func `the same version may change its URLs, and nothing else`() throws {
        let member = try Member()
        let fleet = member.fleet
        func altered(_ vaults: [Fleet.Vault], total: UInt8 = 10) throws -> Fleet {
            try Fleet(id: fleet.id, promisedTotal: total, vaults: vaults, generations: fleet.generations)
        }
        let foreign = Fleet.Vault(index: 3, identityKey: fleet.vaults[2].identityKey, urls: ["https://other.example"])
        let moved = try altered(fleet.vaults.dropLast() + [foreign])
        try member.administration.setFleet(moved)
        #expect(try member.administration.configuration().fleet == moved)
        var generator = SystemRandomNumberGenerator()
        let stranger = Fleet.Vault(
            index: 3, identityKey: SigningKey.random(using: &generator).verifyingKey, urls: ["https://v.example"])
        #expect(throws: FleetSettingError.alteredVersion) {
            try member.administration.setFleet(try altered(fleet.vaults.dropLast() + [stranger]))
        }
        #expect(throws: FleetSettingError.alteredVersion) {
            try member.administration.setFleet(try altered(fleet.vaults, total: 64))
        }
        #expect(try member.administration.configuration().fleet == moved)
    }

    @Test func `a tenant that was removed is served no more, and again when it was added`() async throws {
        let vault = try await TestVault()
        let administration = VaultAdministration(records: vault.records)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let tenant = try #require(try administration.tenants().first)
        #expect(try administration.removeTenant(TestVault.tenant))
        #expect(try !administration.removeTenant(TestVault.tenant))
        #expect(try administration.tenants().isEmpty)
        vault.clock.pass(seconds: 1)
        #expect(try await client.ask(.status(StatusRequest())) == .refused(.unauthorised))
        try administration.setTenant(tenant)
        vault.clock.pass(seconds: 1)
        #expect(try await client.status().record?.header == registration.record.header)
    }

    @Test func `one tenant's damaged record does not stop another tenant's keys`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let administration = VaultAdministration(records: vault.records)
        let tenant = try #require(try administration.tenant(TestVault.tenant))
        try administration.setTenant(TenantRecord(name: "other", keySet: tenant.keySet, policy: tenant.policy))
        #expect(try administration.tenant("other")?.name == "other")
        store.tamper(vault.records.sealer.tenant("other")) { $0[50] ^= 1 }
        #expect(throws: LedgerError.self) { try administration.tenants() }
        #expect(throws: LedgerError.self) { try administration.tenant("other") }
        #expect(try administration.tenant(TestVault.tenant) == tenant)
        try administration.setTenant(tenant)
        #expect(try administration.tenant("nobody") == nil)
    }

    @Test func `a flood without a sign-in reads the store once in a second`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let stranger = try TestClient(vault)
        var foreign = stranger
        _ = try await stranger.status()
        vault.clock.pass(seconds: 1)
        let before = store.loadCount
        for number in 0..<50 {
            _ = try await vault.service.keyAnnouncement()
            foreign.token = Array(
                vault.issuer.token(
                    tenant: "nobody-\(number)", account: "a", vaultID: vault.vaultID,
                    issuedSeconds: vault.clock.now.wallSeconds, lifetimeSeconds: 60
                ).utf8)
            #expect(try await foreign.ask(.status(StatusRequest())) == .refused(.unauthorised))
        }
        #expect(store.loadCount == before + 1)
        vault.clock.pass(seconds: 1)
        _ = try await vault.service.keyAnnouncement()
        #expect(store.loadCount == before + 2)
    }
}
