import ByteCoding
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// Looks at the bytes that a thief of the disk, who also got the data key, would have.
@Suite struct ErasureTests {
    /// Every version that opens, wherever in the files it lies: what SQLite calls free is searched like the rest.
    private func findings(of versions: [StoredRecord], in bytes: [UInt8], _ vault: TestVault) -> [AccountRecord] {
        var found: [AccountRecord] = []
        for version in versions where bytes.count >= version.sealed.count {
            for start in 0...(bytes.count - version.sealed.count) where bytes[start] != 0 || bytes[start + 1] != 0 {
                let candidate = StoredRecord(
                    key: version.key, slot: version.slot, epoch: version.epoch,
                    sealed: Array(bytes[start..<start + version.sealed.count]), dueSeconds: nil)
                if let record = try? vault.records.sealer.open(AccountRecord.self, candidate) { found.append(record) }
            }
        }
        return found
    }

    private func holds(_ bytes: [UInt8], _ piece: ArraySlice<UInt8>) -> Bool {
        Data(bytes).range(of: Data(piece)) != nil
    }

    private func remembered(_ vault: TestVault) throws -> StoredRecord? {
        let key = vault.records.sealer.account(try AccountName(tenant: TestVault.tenant, account: "alice"))
        return try vault.store.load([key]).records[0]
    }

    @Test func `after destruction no byte of database, log or free pages unseals to a share`() async throws {
        let folder = try TemporaryFolder()
        let vault = try await TestVault(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true),
            policy: .withoutWaits(budget: 3))
        var client = try TestClient(vault)
        var versions: [StoredRecord] = []
        func keep() throws { versions += [try remembered(vault)].compactMap { $0 } }
        let first = try await client.register(password: "old")
        try keep()
        let second = try await client.register(password: "new", replacing: first)
        try keep()
        let serial = try await client.status().serial
        for _ in 0..<3 {
            _ = try await client.ask(.evaluate(TestClient.guess(second, serial: serial)))
            try keep()
        }
        let before = try folder.bytesOfAllFiles()
        let visible = versions.count { holds(before, $0.sealed[...]) }
        #expect(visible > 0, "the test can see sealed versions")

        vault.clock.pass(seconds: 73 * 3600)
        await vault.service.settleDue()
        client.token = vault.token("alice")
        guard case .destroyed = try await client.status().state else {
            Issue.record("not destroyed")
            return
        }
        let after = try folder.bytesOfAllFiles()
        // Not whole, and not in part: no 16 bytes of any of them.
        let pieces = versions.flatMap { version in
            stride(from: 0, to: version.sealed.count - 16, by: 16).map { version.sealed[$0..<$0 + 16] }
        }
        let left = pieces.count { holds(after, $0) }
        #expect(left == 0)
        try keep()
        let found = findings(of: versions, in: after, vault)
        #expect(found.count == 1, "the tombstone itself, which shows that the search finds")
        #expect(found.allSatisfy { $0.active == nil && $0.previous == nil && $0.pending == nil })
    }

    @Test func `a share that was erased is looked for again at every start`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let count = store.eraseCount
        _ = try await vault.reopened()
        #expect(store.eraseCount > count)
    }

    @Test func `a backup that reads for minutes does not hold up each batch that erases`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        var accounts: [(client: TestClient, registration: NewRegistration)] = []
        for number in 0..<6 {
            let client = try TestClient(vault, account: "a\(number)")
            accounts.append((client, try await client.register(password: "a")))
        }
        func end(_ account: (client: TestClient, registration: NewRegistration)) async throws {
            let serial = try await account.client.status().serial
            let reply = try await account.client.ask(account.client.delete(account.registration, serial: serial))
            guard case .deleted = reply else { throw TestClient.Unexpected(reply: reply) }
        }
        store.forge { $0.isBeingRead = true }
        let before = store.eraseCount
        for account in accounts.prefix(4) { try await end(account) }
        #expect(store.eraseCount == before + 1, "asked once, and not again within ten seconds")
        vault.clock.pass(seconds: 10)
        try await end(accounts[4])
        #expect(store.eraseCount == before + 2)
        store.forge { $0.isBeingRead = false }
        vault.clock.pass(seconds: 10)
        await vault.service.settleDue()
        #expect(store.eraseCount == before + 3, "the old versions of all of them go when the backup is made")
        await vault.service.settleDue()
        #expect(store.eraseCount == before + 3, "and nothing is left to erase twice")
    }

    @Test func `a vault that starts while a backup reads serves, and erases when it can`() async throws {
        let store = MemoryRecordStore()
        let log = RecordingLog()
        let vault = try await TestVault(store: store)
        store.forge { $0.isBeingRead = true }
        let service = try await VaultService(
            records: vault.records, clock: { [clock = vault.clock] in clock.now }, logger: log.logger)
        #expect(log.text.contains("\(LogLine.timedWorkFailed.text)"))
        let before = store.eraseCount
        store.forge { $0.isBeingRead = false }
        vault.clock.pass(seconds: 30)
        await service.settleDue()
        #expect(store.eraseCount == before + 1)
    }

    @Test func `destruction waits for serving time, not for the calendar`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store, policy: .withoutWaits(budget: 1))
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        // Down for a month: another process, whose own clock begins at nothing.
        let later = TestClock()
        later.setWall(seconds: vault.clock.now.wallSeconds + 30 * 24 * 3600)
        let service = try await VaultService(records: vault.records, clock: { later.now }, logger: .silent)
        let key = vault.records.sealer.account(client.name)
        func isAlive() throws -> Bool {
            try vault.records.load([key]).account(at: 0)?.active != nil
        }
        await service.settleDue()
        #expect(try isAlive())
        later.pass(seconds: 71 * 3600)
        await service.settleDue()
        #expect(try isAlive())
        later.pass(seconds: 2 * 3600)
        await service.settleDue()
        #expect(try !isAlive())
    }
}
