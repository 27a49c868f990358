import Foundation
import RecordStores
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

@Suite struct StoreCopyTests {
    @Test func `a copy is one moment of the store, whoever writes meanwhile, and needs no log beside it`() async throws
    {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        let vault = try await TestVault(store: store)
        for number in 0..<5 { _ = try await TestClient(vault, account: "a\(number)").register(password: "a") }
        // As another process does it.
        let reader = try SQLiteRecordStore(path: path, creating: false)
        async let writing: Void = {
            for number in 5..<10 { _ = try await TestClient(vault, account: "a\(number)").register(password: "a") }
        }()
        for number in 0..<5 {
            let copy = folder.path("copy-\(number).sqlite")
            try reader.copy(to: copy)
            for suffix in ["-wal", "-shm", "-journal"] {
                #expect(!FileManager.default.fileExists(atPath: copy + suffix))
            }
            let mode = try FileManager.default.attributesOfItem(atPath: copy)[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600)
            let records = SealedRecords(
                store: try SQLiteRecordStore(path: copy, creating: false), dataKey: vault.dataKey,
                anchor: MemoryAnchor())
            let proof = try records.proveCopy()
            #expect(proof.audit.recordCount >= 8 && proof.damaged.isEmpty)
        }
        try await writing
        #expect(throws: RecordStoreError.self) { try reader.copy(to: folder.path("copy-0.sqlite")) }
    }

    @Test func `a store says how many records nobody wrote since an epoch`() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true)
        let vault = try await TestVault(store: store)
        let first = try TestClient(vault, account: "first")
        let registration = try await first.register(password: "a")
        let snapshot = try store.load([])
        func untouched() throws -> UInt64? { try store.statistics(writtenUpTo: snapshot.epoch)?.recordsUpToEpoch }
        #expect(try untouched() == snapshot.slotCount)
        try await TestClient(vault, account: "second").register(password: "a")
        #expect(try untouched() == snapshot.slotCount)
        let serial = try await first.status().serial
        _ = try await first.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        #expect(try untouched() == snapshot.slotCount - 1)
        #expect(try store.statistics(writtenUpTo: nil)?.recordsUpToEpoch == 0)
        #expect(try (store.statistics(writtenUpTo: nil)?.bytes ?? 0) > 4096)
    }
}
