import ByteCoding
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// Whoever holds the disk. Each test does what an attacker, or an accident, does to the store, and asks the vault.
@Suite struct RollbackTests {
    /// The account's client, its registration, and a store that can be put back.
    private struct Scene {
        let store = MemoryRecordStore()
        let anchor = MemoryAnchor()
        let vault: TestVault
        let client: TestClient
        let registration: NewRegistration

        init(policy: TenantPolicy = .withoutWaits(budget: 10)) async throws {
            vault = try await TestVault(store: store, anchor: anchor, policy: policy)
            client = try TestClient(vault)
            registration = try await client.register(password: "a")
        }

        var accountKey: RecordKey { vault.records.sealer.account(client.name) }

        func guess() async throws -> Reply {
            let serial = try await client.status().serial
            return try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        }

        /// What a vault says that is started on the store as it is now.
        func startFailure() async -> LedgerError? {
            do throws(VaultStartError) {
                _ = try await VaultService(
                    records: vault.records, clock: { [vault] in vault.clock.now }, logger: .silent)
                return nil
            } catch {
                guard case .ledger(let failure) = error else { return nil }
                return failure
            }
        }

        /// Nothing is served, and nothing is changed: neither by a start, nor by the process that ran before.
        func expectRefusal(_ expected: (LedgerError?) -> Bool, _ comment: Comment) async throws {
            let (before, held) = (store.copied(), anchor.held)
            let failure = await startFailure()
            #expect(expected(failure), "\(comment): \(String(describing: failure))")
            #expect(await client.isUnanswered(.status(StatusRequest())), comment)
            #expect(await client.isUnanswered(.evaluate(TestClient.guess(registration, serial: 0))), comment)
            #expect(
                store.copied().head == before.head && store.copied().epoch == before.epoch && anchor.held == held,
                comment)
        }
    }

    private func isRollback(_ error: LedgerError?) -> Bool {
        if case .rolledBack = error { return true }
        return false
    }

    private func isDamaged(_ error: LedgerError?) -> Bool {
        if case .damaged = error { return true }
        return false
    }

    @Test func `a store restored from an hour ago is refused`() async throws {
        let scene = try await Scene()
        let hourAgo = scene.store.copied()
        for _ in 0..<10 { _ = try await scene.guess() }
        let present = scene.store.copied()
        scene.store.restore(hourAgo)
        try await scene.expectRefusal(
            { $0 == .rolledBack(.storeIsBehind(storeEpoch: hourAgo.epoch, anchoredEpoch: present.epoch)) },
            "an hour ago")
        // Nothing was lost: the vault serves again from the store that belongs to the anchor, with its count.
        scene.store.restore(present)
        #expect(await scene.startFailure() == nil)
        #expect(try await scene.client.status().attemptsLeft == 0)
    }

    @Test func `a store that is one batch old is refused`() async throws {
        let scene = try await Scene()
        let before = scene.store.copied()
        _ = try await scene.guess()
        scene.store.restore(before)
        try await scene.expectRefusal(isRollback, "one batch ago")
    }

    @Test func `an empty store in place of the vault's is refused`() async throws {
        let scene = try await Scene()
        scene.store.restore(MemoryRecordStore().copied())
        try await scene.expectRefusal(isRollback, "empty")
    }

    @Test func `one record swapped for its older self is refused, at the start and while the vault runs`() async throws
    {
        let scene = try await Scene()
        let older = try #require(scene.store.copied().records[scene.accountKey]?.last)
        _ = try await scene.guess()
        scene.store.forge { $0.records[scene.accountKey]?.append(older) }
        try await scene.expectRefusal(isDamaged, "the record alone")
    }

    @Test func `one record swapped for its older self with tree and head recomputed, without the data key`()
        async throws
    {
        let scene = try await Scene()
        let older = try #require(scene.store.copied().records[scene.accountKey]?.last)
        _ = try await scene.guess()
        let present = scene.store.copied()
        // Everything in a head but its code can be computed by anyone who holds the disk.
        let head = try KeyedHead(decoding: present.head).head
        var forged = present
        forged.records[scene.accountKey]?.append(older)
        let leaves = forged.records.values.compactMap { $0.last }.sorted { $0.slot < $1.slot }.map(\.leaf)
        let root = MerkleTree(leaves.map(\.hash)).root
        let thief = RecordSealer(dataKey: SecretBytes(copying: [UInt8](repeating: 9, count: 32)))
        for (epoch, previous) in [(head.epoch, head.previous), (head.epoch + 1, scene.anchor.held.hash)] {
            let recomputed = LedgerHead(
                vaultID: head.vaultID, epoch: epoch, slotCount: head.slotCount, root: root, previous: previous,
                time: head.time)
            let code = try KeyedHead(decoding: present.head).code
            for keyed in [thief.keyed(recomputed), KeyedHead(head: recomputed, code: code)] {
                forged.epoch = epoch
                forged.head = try keyed.encoded()
                scene.store.restore(forged)
                try await scene.expectRefusal(isDamaged, "recomputed for epoch \(epoch)")
            }
        }
    }

    @Test func `a head taken from another branch is refused, though the data key made it`() async throws {
        let scene = try await Scene()
        let fork = scene.store.copied()
        // The same vault, resumed from a copy with an anchor of its own: its heads are genuine.
        let other = MemoryRecordStore()
        other.restore(fork)
        let otherAnchor = MemoryAnchor()
        otherAnchor.set { $0.held = scene.anchor.held }
        let branch = SealedRecords(store: other, dataKey: scene.vault.dataKey, anchor: otherAnchor)
        var generator = SystemRandomNumberGenerator()
        var time = LedgerTime(seconds: 1, servingSeconds: 1)
        func step() throws {
            time.seconds += 1
            try branch.commit([], time: time, on: try branch.load([]), using: &generator)
        }
        try step()
        _ = try await scene.guess()
        scene.store.restore(other.copied())
        try await scene.expectRefusal(isRollback, "the same epoch")
        try step()
        scene.store.restore(other.copied())
        try await scene.expectRefusal(isRollback, "one ahead of the anchor")
        try step()
        scene.store.restore(other.copied())
        try await scene.expectRefusal(isRollback, "two ahead of the anchor")
    }

    @Test func `of two candidates for the next epoch the first that is anchored stays, and the other is refused`()
        async throws
    {
        let scene = try await Scene()
        let start = scene.store.copied()
        // Twice the power goes between the commit and the anchor; in between somebody puts the store back.
        var candidates: [MemoryRecordStore.Contents] = []
        for _ in 0..<2 {
            scene.store.restore(start)
            let records = scene.vault.records
            let view = try records.load([])
            scene.anchor.fail(next: .unavailable)
            var generator = SystemRandomNumberGenerator()
            #expect(throws: LedgerError.self) {
                try records.commit(
                    [], time: LedgerTime(seconds: 2_000_000_000 + UInt64(candidates.count), servingSeconds: 1),
                    on: view,
                    using: &generator)
            }
            candidates.append(scene.store.copied())
        }
        #expect(candidates[0].head != candidates[1].head && candidates[0].epoch == candidates[1].epoch)
        scene.store.restore(candidates[0])
        #expect(await scene.startFailure() == nil, "one step ahead, and proven: completed")
        #expect(scene.anchor.held.epoch == candidates[0].epoch)
        scene.store.restore(candidates[1])
        try await scene.expectRefusal(isRollback, "the other candidate")
    }

    @Test func `a tenant's key that a thief of the store added is not believed`() async throws {
        let scene = try await Scene()
        let sealer = scene.vault.records.sealer
        // The best that he can do: a record that he cannot seal, in a slot of its own; or an older one of the tenant.
        let key = sealer.tenant("thief")
        scene.store.forge { contents in
            let slot = UInt64(contents.records.count)
            contents.records[key] = [
                StoredRecord(key: key, slot: slot, epoch: contents.epoch, sealed: [1, 2, 3], dueSeconds: nil)
            ]
        }
        #expect(isDamaged(await scene.startFailure()))
        // The process that ran before has its tree, and does not believe the row either.
        #expect(throws: LedgerError.self) { try scene.vault.records.load([key]) }
        #expect(scene.anchor.held == (try KeyedHead(decoding: scene.store.copied().head).anchored))
    }

    @Test func `an older policy or key set of a tenant, with a larger budget, is refused`() async throws {
        let scene = try await Scene(policy: .withoutWaits(budget: 60))
        let key = scene.vault.records.sealer.tenant(TestVault.tenant)
        let generous = try #require(scene.store.copied().records[key]?.last)
        try VaultAdministration(records: scene.vault.records).setTenant(
            TenantRecord(
                name: TestVault.tenant, keySet: scene.vault.issuer.keySet, policy: .withoutWaits(budget: 2)))
        #expect(await scene.startFailure() == nil)
        scene.store.forge { $0.records[key]?.append(generous) }
        try await scene.expectRefusal(isDamaged, "a budget raised")
    }

    @Test func `an account that was unlinked is not taken for one that nobody has met`() async throws {
        let scene = try await Scene()
        // A start on it would give a new record, with all attempts.
        scene.store.forge { $0.records[scene.accountKey] = nil }
        try await scene.expectRefusal(isDamaged, "a row deleted")
    }

    @Test func `a destruction cannot be put off by altering when it is due`() async throws {
        let scene = try await Scene(policy: .withoutWaits(budget: 1))
        _ = try await scene.guess()
        scene.store.forge { contents in
            guard let record = contents.records[scene.accountKey]?.popLast() else { return }
            contents.records[scene.accountKey]?.append(
                StoredRecord(
                    key: record.key, slot: record.slot, epoch: record.epoch, sealed: record.sealed, dueSeconds: nil))
        }
        try await scene.expectRefusal(isDamaged, "never due")
    }
}
