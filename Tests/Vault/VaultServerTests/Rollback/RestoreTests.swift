import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// A store that was put back from a copy and made the present one, since the newest is lost.
@Suite struct RestoreTests {
    private let store = MemoryRecordStore()
    private let anchor = MemoryAnchor()

    private func scene() async throws -> (vault: TestVault, client: TestClient, registration: NewRegistration) {
        let vault = try await TestVault(store: store, anchor: anchor)
        let client = try TestClient(vault)
        return (vault, client, try await client.register(password: "a"))
    }

    private func restore(_ vault: TestVault, evenIfCurrent: Bool = false) throws -> RestoredStore {
        var generator = SystemRandomNumberGenerator()
        return try vault.records.restore(evenIfCurrent: evenIfCurrent, using: &generator)
    }

    private func status(_ service: VaultService, _ vault: TestVault) async throws -> StatusReply {
        try await TestClient(vault).talking(to: service).status()
    }

    @Test func `a restored store answers no attempt until the key thaws it, and goes on after the lost history`()
        async throws
    {
        let (vault, client, registration) = try await scene()
        let copy = store.copied()
        for _ in 0..<4 {
            let serial = try await client.status().serial
            _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        }
        let lost = store.copied()
        let lostSerial = try await client.status().serial
        store.restore(copy)
        #expect(try restore(vault) == RestoredStore(copyEpoch: copy.epoch, lostEpoch: lost.epoch))
        #expect(try vault.records.audit().epoch == lost.epoch + 1)

        let restored = client.talking(to: try await vault.reopened())
        let status = try await restored.status()
        let nonce = try #require(status.frozen)
        #expect(status.serial > lostSerial, "messages of the lost time are stale")
        #expect(try await restored.status().frozen == nonce, "looking changes nothing")
        let guess = TestClient.guess(registration, serial: status.serial)
        #expect(try await restored.ask(.evaluate(guess)) == .refused(.frozen))

        let context = restored.context(status.serial)
        let id = registration.record.header.registrationID
        let key = registration.managementKey
        let signature = key.sign(
            try SignedBytes.thaw(context, registrationID: id, nonce: nonce))
        let thaw = ThawRequest(
            serial: status.serial, registrationID: id, nonce: nonce, signature: signature)
        guard case .thawed(let serial) = try await restored.ask(.thaw(thaw)) else {
            Issue.record("not thawed")
            return
        }
        guard case .evaluated = try await restored.ask(.evaluate(TestClient.guess(registration, serial: serial))) else {
            Issue.record("thawed, and yet it does not answer")
            return
        }
    }

    @Test func `what time does to a frozen account leaves it frozen`() async throws {
        let (vault, client, _) = try await scene()
        let copy = store.copied()
        _ = try await client.ask(.status(StatusRequest()))
        try vault.administrationHeartbeat()
        store.restore(copy)
        _ = try restore(vault)
        vault.clock.pass(seconds: 400 * 24 * 3600)
        let service = try await vault.reopened()
        await service.settleDue()
        #expect(try await status(service, vault).frozen != nil)
    }

    @Test func `the second restore of one copy passes the serials of the first, and draws another nonce`()
        async throws
    {
        let (vault, _, _) = try await scene()
        let copy = store.copied()
        try vault.administrationHeartbeat()
        store.restore(copy)
        _ = try restore(vault)
        let first = try await status(vault.reopened(), vault)
        store.restore(copy)
        _ = try restore(vault)
        let second = try await status(vault.reopened(), vault)
        #expect(second.serial > first.serial)
        #expect(second.frozen != nil && second.frozen != first.frozen)
    }

    @Test func `two restores of one copy whose anchor was put back as well do not give the same serials`() async throws
    {
        let (vault, _, _) = try await scene()
        let copy = store.copied()
        try vault.administrationHeartbeat()
        let held = anchor.held
        var serials: Set<UInt64> = []
        var firstSerials: Set<UInt64> = []
        for round in UInt8(1)...3 {
            store.restore(copy)
            anchor.set { $0.held = held }
            var generator = RepeatedByte(byte: round)
            _ = try vault.records.restore(evenIfCurrent: false, using: &generator)
            let service = try await vault.reopened()
            serials.insert(try await status(service, vault).serial)
            let stranger = try TestClient(vault, account: "stranger").talking(to: service)
            firstSerials.insert(try await stranger.status().serial)
        }
        #expect(serials.count == 3 && firstSerials.count == 3)
    }

    /// Other bytes for each restore, and the same in each run.
    private struct RepeatedByte: RandomNumberGenerator {
        let byte: UInt8

        func next() -> UInt64 { UInt64(byte) * 0x0101_0101_0101_0101 }
    }

    @Test func `the messages that registered an account since the copy do not register it again`() async throws {
        let vault = try await TestVault(store: store, anchor: anchor)
        let client = try TestClient(vault)
        let copy = store.copied()
        let registration = try client.newRegistration(password: "a")
        let serial = try await client.status().serial
        let prepare = try client.prepare(registration, serial: serial)
        let activate = try client.activate(registration, serial: serial)
        _ = try await client.ask(prepare)
        guard case .activated = try await client.ask(activate) else {
            Issue.record("not registered")
            return
        }
        store.restore(copy)
        _ = try restore(vault)
        let restored = client.talking(to: try await vault.reopened())
        for message in [prepare, activate] {
            #expect(try await restored.ask(message) == .refused(.staleSerial(current: restored.status().serial)))
        }
        // Who registers now is registered.
        let present = try await restored.status().serial
        _ = try await restored.ask(try client.prepare(registration, serial: present))
        guard case .activated = try await restored.ask(try client.activate(registration, serial: present)) else {
            Issue.record("not registered anew")
            return
        }
    }

    @Test func `the present store is not restored by mistake, and is when the anchor was put back too`() async throws {
        let (vault, _, _) = try await scene()
        let epoch = store.copied().epoch
        #expect(throws: RestoreError.isCurrent(epoch: epoch)) { try restore(vault) }
        #expect(store.copied().epoch == epoch)
        #expect(try restore(vault, evenIfCurrent: true) == RestoredStore(copyEpoch: epoch, lostEpoch: epoch))
        #expect(try await status(vault.reopened(), vault).frozen != nil)
    }

    @Test func `a copy that was altered, or is beyond its anchor, is not restored`() async throws {
        let (vault, client, _) = try await scene()
        let copy = store.copied()
        let held = anchor.held
        try vault.administrationHeartbeat()
        let key = vault.records.sealer.account(client.name)
        store.restore(copy)
        store.forge { contents in
            guard let record = contents.records[key]?.last else { return }
            var sealed = record.sealed
            sealed[0] ^= 1
            contents.records[key]?.append(
                StoredRecord(
                    key: record.key, slot: record.slot, epoch: record.epoch, sealed: sealed,
                    dueSeconds: record.dueSeconds))
        }
        #expect(throws: RestoreError.self) { try restore(vault) }
        // The anchor is put back by more than one batch.
        store.restore(copy)
        _ = try restore(vault)
        try vault.administrationHeartbeat()
        anchor.set { $0.held = held }
        #expect(throws: RestoreError.self) { try restore(vault, evenIfCurrent: true) }
    }

    @Test func `a crash between the commit of a restore and its anchor is completed at the start`() async throws {
        let (vault, _, _) = try await scene()
        let copy = store.copied()
        try vault.administrationHeartbeat()
        let held = anchor.held
        store.restore(copy)
        _ = try restore(vault)
        anchor.set { $0.held = held }
        #expect(try vault.records.audit().isOneAhead)
        #expect(try await status(vault.reopened(), vault).frozen != nil)
        #expect(anchor.held.epoch == held.epoch + 1)
    }
}

extension TestVault {
    /// A batch that changes nothing about any account.
    fileprivate func administrationHeartbeat() throws {
        var generator = SystemRandomNumberGenerator()
        let records = records
        let view = try records.load([])
        try records.commit([], time: view.time, on: view, using: &generator)
    }
}
