import ByteCoding
import Foundation
import GRDB
import TestSupport
import Testing
import VaultCore

@testable import RecordStores

@Suite struct `SQLite's log` {
    private static let pageBytes: UInt64 = 4_096

    /// Each takes about 130 pages of the log.
    private func commit(_ epoch: UInt64, to store: SQLiteRecordStore) throws {
        let records = (0..<64).map { number in
            StoredRecord(
                key: RecordKey(uncheckedBytes: [UInt8](repeating: UInt8(number), count: RecordKey.byteCount)),
                slot: UInt64(number), epoch: epoch,
                sealed: [UInt8](repeating: UInt8(truncatingIfNeeded: epoch), count: 6_000),
                dueSeconds: nil)
        }
        try store.commit(RecordBatch(expectedEpoch: epoch - 1, epoch: epoch, head: [], records: records))
    }

    @Test func `is moved into the database beside the commits, and begins anew`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        for epoch in UInt64(1)...40 {
            try commit(epoch, to: store)
            store.checkpoints.wait()
        }
        // Some five thousand pages went through it. Without a checkpoint all of them lie in it, and none in the database.
        #expect(SQLiteRecordStore.fileBytes(path + "-wal") < 1_500 * Self.pageBytes)
        #expect(SQLiteRecordStore.fileBytes(path) > 64 * 6_000)
        #expect(try store.load([]).epoch == 40)
    }

    @Test func `is erased while a checkpoint is under way`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true, busySeconds: 0)
        for epoch in UInt64(1)...30 {
            try commit(epoch, to: store)
            if epoch > 8 { try store.eraseOldVersions() }
        }
    }

    @Test func `grows while somebody reads, which holds up no commit, and is moved when he is done`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        try commit(1, to: store)
        let reader = try DatabasePool(path: path)
        let snapshot = try reader.makeSnapshot()
        for epoch in UInt64(2)...12 {
            try commit(epoch, to: store)
            store.checkpoints.wait()
        }
        #expect(try snapshot.read { try Int.fetchOne($0, sql: "SELECT epoch FROM meta") } == 1)
        #expect(SQLiteRecordStore.fileBytes(path) < 8 * Self.pageBytes)
        try snapshot.close()
        try reader.close()
        try commit(13, to: store)
        store.checkpoints.wait()
        #expect(SQLiteRecordStore.fileBytes(path) > 64 * 6_000)
    }
}
