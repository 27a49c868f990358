import ByteCoding
import Foundation
import GRDB
import TestSupport
import Testing
import VaultCore

@testable import RecordStores

@Suite struct RecordStoreTests {
    @Test func `SQLite keeps the contract of a record store`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        _ = try SQLiteRecordStore(path: path, creating: true)
        try RecordStoreConformance { try SQLiteRecordStore(path: path, creating: false) }.check()
    }

    @Test func `reading ahead stops when told, changes nothing, and fails for itself alone`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        let ahead = LeavesAhead(path: path, slotCount: .max)
        let gone = LeavesAhead(path: folder.path("gone"), slotCount: .max)
        try RecordStoreConformance { try SQLiteRecordStore(path: path, creating: false) }.check()
        ahead.stop()
        gone.stop()
        // A reader that was left behind would hold this up.
        try store.eraseOldVersions()
        #expect(!FileManager.default.fileExists(atPath: folder.path("gone")))
    }

    @Test func `a store in memory keeps the contract of a record store`() throws {
        let store = MemoryRecordStore()
        try RecordStoreConformance { store }.check()
    }

    @Test(arguments: MemoryRecordStore.Lie.allCases)
    func `a store that lies is caught by the contract`(lie: MemoryRecordStore.Lie) {
        let store = MemoryRecordStore(lie: lie)
        #expect(throws: (any Error).self) { try RecordStoreConformance { store }.check() }
    }

    @Test func `the store's file is not readable by others`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        try store.commit(RecordBatch(expectedEpoch: 0, epoch: 1, head: [], records: []))
        for suffix in ["", "-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path + suffix)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(suffix)")
        }
    }

    @Test func `a file that is not a vault's store is refused and left alone`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("other.sqlite")
        let other = try DatabaseQueue(path: path)
        try other.write { try $0.execute(sql: "CREATE TABLE diary (text TEXT)") }
        #expect(throws: RecordStoreError.self) { try SQLiteRecordStore(path: path, creating: false) }
        #expect(try other.read { try $0.tableExists("diary") })
        try Data("not SQLite at all, but long enough to be taken for a header of some sort, perhaps".utf8)
            .write(to: URL(filePath: folder.path("junk")))
        #expect(throws: RecordStoreError.self) {
            try SQLiteRecordStore(path: folder.path("junk"), creating: false)
        }
        #expect(throws: RecordStoreError.self) { try SQLiteRecordStore(path: path, creating: true) }
    }

    @Test func `erased versions are in no byte of the store's files`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true)
        let key = try RecordKey([UInt8](repeating: 7, count: 32))
        // Small and large, so that cells within a page and pages of their own are freed.
        let secrets = (0..<20).map {
            Array("secret version \($0) ".utf8) + [UInt8](repeating: 0x41 + $0, count: 700 * Int($0))
        }
        for (epoch, secret) in secrets.enumerated() {
            try store.commit(
                RecordBatch(
                    expectedEpoch: UInt64(epoch), epoch: UInt64(epoch) + 1, head: [],
                    records: [
                        StoredRecord(key: key, slot: 0, epoch: UInt64(epoch) + 1, sealed: secret, dueSeconds: nil)
                    ]))
        }
        #expect(try folder.bytesOfAllFiles().contains(Array("secret version 3 ".utf8)), "the test can see versions")
        try store.commit(
            RecordBatch(
                expectedEpoch: 20, epoch: 21, head: [],
                records: [StoredRecord(key: key, slot: 0, epoch: 21, sealed: [1, 2, 3], dueSeconds: nil)]))
        try store.eraseOldVersions()
        #expect(!(try folder.bytesOfAllFiles().contains(Array("secret version".utf8))))
        #expect(try store.load([key]).records[0]?.sealed == [1, 2, 3])
    }

    @Test func `a reader of another process delays erasure and does not fake it`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let store = try SQLiteRecordStore(path: path, creating: true, busySeconds: 0)
        let key = try RecordKey([UInt8](repeating: 7, count: 32))
        try store.commit(
            RecordBatch(
                expectedEpoch: 0, epoch: 1, head: [],
                records: [
                    StoredRecord(key: key, slot: 0, epoch: 1, sealed: Array("secret".utf8), dueSeconds: nil)
                ]))
        let reader = try DatabaseQueue(path: path)
        try reader.writeWithoutTransaction { database in
            try database.execute(sql: "BEGIN")
            _ = try Row.fetchAll(database, sql: "SELECT * FROM records")
            try store.commit(
                RecordBatch(
                    expectedEpoch: 1, epoch: 2, head: [],
                    records: [StoredRecord(key: key, slot: 0, epoch: 2, sealed: [], dueSeconds: nil)]))
            #expect(throws: RecordStoreError.self) { try store.eraseOldVersions() }
            try database.execute(sql: "COMMIT")
        }
        try store.eraseOldVersions()
        #expect(!(try folder.bytesOfAllFiles().contains(Array("secret".utf8))))
    }
}
