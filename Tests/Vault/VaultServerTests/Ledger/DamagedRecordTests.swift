import Foundation
import GRDB
import Primitives
import RecordStores
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// One record that rotted, or that somebody exchanged, is one person's loss and not everybody's.
@Suite struct `A damaged record` {
    private static let days: UInt64 = 24 * 3600

    /// A vault on a real store, with people who have used up their attempts, so that time will destroy their shares.
    private struct Scene {
        let folder: TemporaryFolder
        let store: SQLiteRecordStore
        let vault: TestVault
        let people: [TestClient]
        let log = RecordingLog()

        init(_ names: [String]) async throws {
            folder = try TemporaryFolder()
            store = try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true)
            vault = try await TestVault(store: store, policy: .withoutWaits(budget: 1), logger: log.logger)
            people = try names.map { [vault] in try TestClient(vault, account: $0) }
            for client in people {
                let registration = try await client.register(password: "a")
                let serial = try await client.status().serial
                _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
            }
        }

        /// What a bad block, or somebody with the disk, does to the row alone.
        func damage(_ client: TestClient, sql: String = "UPDATE records SET sealed = zeroblob(200) WHERE key = ?")
            throws
        {
            let key = vault.records.sealer.account(client.name)
            try DatabaseQueue(path: folder.path("vault.sqlite")).write { database in
                try database.execute(sql: sql, arguments: [Data(key.bytes)])
            }
        }

        /// Signed in anew, for their tokens are over.
        func again(_ client: TestClient, at service: VaultService) -> TestClient {
            var client = client.talking(to: service)
            client.token = vault.token(client.name.account)
            return client
        }

        func expectDestroyed(_ client: TestClient) async throws {
            guard case .destroyed = try await client.status().state else {
                Issue.record("\(client.name.account) is not destroyed")
                return
            }
        }
    }

    @Test(arguments: [
        "UPDATE records SET sealed = zeroblob(200) WHERE key = ?",
        "DELETE FROM records WHERE key = ?",
        "UPDATE records SET sealed = (SELECT sealed FROM records WHERE slot = 0) WHERE key = ?",
    ])
    func `keeps no vault from starting, and nobody else from being served`(sql: String) async throws {
        let scene = try await Scene(["anna", "bert", "cleo"])
        let slot = try #require(
            try scene.store.load([scene.vault.records.sealer.account(scene.people[1].name)]).records[0]
        )
        .slot
        try scene.damage(scene.people[1], sql: sql)
        scene.vault.clock.pass(seconds: 4 * Self.days)
        let restarted = try await VaultService(
            records: scene.vault.records, clock: { [vault = scene.vault] in vault.clock.now }, logger: scene.log.logger)
        // The operator is told which, once; nobody's name stands there.
        let lines = scene.log.text.split(separator: "\n").filter { $0.contains("record_damaged") }
        #expect(lines.count == 1 && lines[0].contains("slot \(slot)") && !lines[0].contains("bert"))
        // The grace is serving time.
        scene.vault.clock.pass(seconds: 4 * Self.days)
        await restarted.settleDue()
        #expect(scene.log.text.split(separator: "\n").count { $0.contains("record_damaged") } == 1)
        // Time went on for the others, on both sides of it.
        try await scene.expectDestroyed(scene.again(scene.people[0], at: restarted))
        try await scene.expectDestroyed(scene.again(scene.people[2], at: restarted))
        #expect(await scene.again(scene.people[1], at: restarted).isUnanswered(.status(StatusRequest())))
        // Whoever is new is served too.
        try await TestClient(scene.vault, account: "dora").talking(to: restarted).register(password: "a")
        #expect(throws: LedgerError.self) { try scene.vault.records.audit() }
    }

    @Test func `spoils no batch for the others in it`() async throws {
        let scene = try await Scene(["anna", "bert", "cleo"])
        try scene.damage(scene.people[1])
        let metrics = VaultMetrics()
        var worker = LedgerWorker(
            records: scene.vault.records, vaultID: scene.vault.vaultID, metrics: metrics,
            clock: { [vault = scene.vault] in vault.clock.now })
        let commands = scene.people.map { AccountCommand(name: $0.name, command: .status(StatusRequest())) }
        let outcomes = worker.process(commands)
        // The operator is told of it once, however often its owner asks.
        _ = worker.process(commands)
        #expect(metrics.page().contains("coffer_vault_records_damaged_total 1\n"))
        #expect(worker.takeDamaged().count == 1)
        guard case .answer = outcomes[0], case .failed(.damaged) = outcomes[1], case .answer = outcomes[2] else {
            Issue.record("\(outcomes)")
            return
        }
    }

    @Test func `of which there are more than one settling takes keeps nobody's time from coming`() async throws {
        let scene = try await Scene(["anna", "bert", "cleo", "dora"])
        var worker = LedgerWorker(
            records: scene.vault.records, vaultID: scene.vault.vaultID,
            clock: { [vault = scene.vault] in vault.clock.now })
        #expect(try !worker.settleDue(limit: 1))
        for client in scene.people.prefix(3) { try scene.damage(client) }
        scene.vault.clock.pass(seconds: 4 * Self.days)
        var rounds = 0
        while try worker.settleDue(limit: 1), rounds < 20 { rounds += 1 }
        #expect(rounds == 4 && worker.takeDamaged().count == 3 && worker.takeDamaged().isEmpty)
        try await scene.expectDestroyed(scene.again(scene.people[3], at: scene.vault.service))
    }
}
