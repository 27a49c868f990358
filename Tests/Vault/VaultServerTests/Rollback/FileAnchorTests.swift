import ByteCoding
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import Testing
import VaultCore
import VaultServer

@Suite struct FileAnchorTests {
    private func head(_ epoch: UInt64, after previous: HeadHash, seconds: UInt64 = 0) throws -> KeyedHead {
        let vaultID = try VaultID([UInt8](repeating: 1, count: 16))
        return RecordSealer(dataKey: SecretBytes(copying: [UInt8](repeating: 2, count: 32))).keyed(
            LedgerHead(
                vaultID: vaultID, epoch: epoch, slotCount: 0, root: MerkleTree().root, previous: previous,
                time: LedgerTime(seconds: seconds, servingSeconds: 0)))
    }

    @Test func `it takes one step at a time, and repeats, and nothing else`() throws {
        let folder = try TemporaryFolder()
        let anchor = try FileAnchor.create(path: folder.path("anchor"))
        #expect(try anchor.heads() == [.none])
        let one = try head(1, after: .none)
        let two = try head(2, after: one.hash)
        try anchor.advance(to: one)
        try anchor.advance(to: one)
        #expect(try FileAnchor(path: folder.path("anchor")).heads() == [one.anchored])
        #expect(throws: AnchorError.moved) { try anchor.advance(to: try head(1, after: .none, seconds: 5)) }
        #expect(throws: AnchorError.moved) { try anchor.advance(to: try head(2, after: two.hash)) }
        #expect(throws: AnchorError.moved) { try anchor.advance(to: try head(3, after: one.hash)) }
        try anchor.advance(to: two)
        #expect(throws: AnchorError.moved) { try anchor.advance(to: one) }
        #expect(try anchor.heads() == [two.anchored])
    }

    /// False: it failed for another reason.
    private static func isDamaged(_ body: () throws -> Any) -> Bool {
        do { _ = try body() } catch AnchorError.damaged { return true } catch { return false }
        Issue.record("nothing failed")
        return false
    }

    @Test func `a file that is gone, altered or open to others is no anchor, and is not made anew`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("anchor")
        let anchor = try FileAnchor.create(path: path)
        #expect(throws: AnchorError.self) { try FileAnchor.create(path: path) }
        let one = try head(1, after: .none)
        try anchor.advance(to: one)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for altered in [
            "", text + "\n", text.replacing("epoch 1", with: "epoch 01"),
            text.replacing("version 2", with: "version 3"),
            text.uppercased(), String(text.dropLast(2)),
        ] {
            try FileManager.default.removeItem(atPath: path)
            #expect(
                FileManager.default.createFile(
                    atPath: path, contents: Data(altered.utf8), attributes: [.posixPermissions: 0o600]))
            #expect(Self.isDamaged { try anchor.heads() })
            #expect(Self.isDamaged { try anchor.advance(to: one) })
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(Self.isDamaged { try anchor.heads() })
        try FileManager.default.removeItem(atPath: path)
        // It may be back when its disk is mounted.
        #expect(!Self.isDamaged { try anchor.heads() })
        #expect(throws: AnchorError.self) { try anchor.advance(to: one) }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `a step that a power cut tore leaves the head of before, or the new one, wherever it was torn`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("anchor")
        let anchor = try FileAnchor.create(path: path)
        let one = try head(1, after: .none)
        let two = try head(2, after: one.hash)
        let three = try head(3, after: two.hash)
        for step in [one, two] { try anchor.advance(to: step) }
        let before = try Data(contentsOf: URL(filePath: path))
        try anchor.advance(to: three)
        let after = try Data(contentsOf: URL(filePath: path))
        #expect(before.count == 8_192 && after.count == 8_192)
        func write(_ bytes: Data) throws {
            let file = try FileHandle(forWritingTo: URL(filePath: path))
            try file.write(contentsOf: bytes)
            try file.close()
        }
        for written in [0, 8_192] + (0...200) + (4_090...4_300) {
            let torn = after.prefix(written) + before.suffix(8_192 - written)
            try write(torn)
            #expect(try [two.anchored, three.anchored].contains(anchor.heads()[0]))
            // The same batch again, or the start that completes it.
            try anchor.advance(to: three)
            #expect(try anchor.heads() == [three.anchored])
        }
        // Neither block is whole, or they contradict each other: no anchor.
        try write(Data(repeating: 0, count: 4_096) + after.suffix(4_096).map { $0 ^ 1 })
        #expect(throws: AnchorError.self) { try anchor.heads() }
        let other = try FileAnchor.create(path: folder.path("other"))
        for step in [one, try head(2, after: one.hash, seconds: 9)] { try other.advance(to: step) }
        let contradiction = try Data(contentsOf: URL(filePath: folder.path("other")))
        try write(before.prefix(4_096) + contradiction.suffix(4_096))
        try write(before.suffix(4_096) + contradiction.suffix(4_096))
        if before.suffix(4_096) != contradiction.suffix(4_096) {
            #expect(throws: AnchorError.self) { try anchor.heads() }
        }
    }

    @Test func `a file of the layout of before is taken, and goes on in the new one`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("anchor")
        let one = try head(1, after: .none)
        let text = "coffer vault anchor, version 1\nepoch 1\nhash \(one.hash.hex)\n"
        #expect(
            FileManager.default.createFile(
                atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]))
        let anchor = FileAnchor(path: path)
        #expect(try anchor.heads() == [one.anchored])
        #expect(throws: AnchorError.moved) { try anchor.advance(to: try head(1, after: .none, seconds: 5)) }
        let two = try head(2, after: one.hash)
        try anchor.advance(to: two)
        #expect(try anchor.heads() == [two.anchored] && Data(contentsOf: URL(filePath: path)).count == 8_192)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
    }

    @Test func `a head that another process wrote is written again before it counts, and one's own is not`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("anchor")
        let first = try FileAnchor.create(path: path)
        let one = try head(1, after: .none)
        let two = try head(2, after: one.hash)
        let longAgo = Date(timeIntervalSince1970: 1000)
        func writes(_ anchor: FileAnchor, _ head: KeyedHead) throws -> Bool {
            try FileManager.default.setAttributes([.modificationDate: longAgo], ofItemAtPath: path)
            try anchor.advance(to: head)
            let date = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
            return try #require(date) != longAgo
        }
        #expect(try writes(first, one))
        #expect(try !writes(first, one))
        let bytes = try Data(contentsOf: URL(filePath: path))
        let second = FileAnchor(path: path)
        #expect(try writes(second, one))
        #expect(try Data(contentsOf: URL(filePath: path)) == bytes)
        #expect(try !writes(second, one))
        // A third one, which has seen neither head on the medium, takes the next step.
        try FileAnchor(path: path).advance(to: two)
        #expect(try second.heads() == [two.anchored])
        #expect(try writes(second, two))
        #expect(throws: AnchorError.moved) { try first.advance(to: one) }
    }

    @Test func `what a writer that was killed left behind does not stop the next step`() throws {
        let folder = try TemporaryFolder()
        let anchor = try FileAnchor.create(path: folder.path("anchor"))
        try Data("torn".utf8).write(to: URL(filePath: folder.path("anchor.new")))
        let one = try head(1, after: .none)
        try anchor.advance(to: one)
        #expect(try anchor.heads() == [one.anchored])
    }

    /// The vault's files, copied and put back.
    private func vault(in folder: TemporaryFolder) async throws -> TestVault {
        try await TestVault(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true),
            anchor: try FileAnchor.create(path: folder.path("anchor")))
    }

    private func reopened(_ vault: TestVault, in folder: TemporaryFolder) async throws -> VaultService {
        try await VaultService(
            records: SealedRecords(
                store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: false),
                dataKey: vault.dataKey, anchor: FileAnchor(path: folder.path("anchor"))),
            clock: { [clock = vault.clock] in clock.now }, logger: .silent)
    }

    @Test func `a SQLite file put back is refused; with the anchor put back too it is not, which witnesses are for`()
        async throws
    {
        let folder = try TemporaryFolder()
        let files = FileManager.default
        let old = try await vault(in: folder)
        let client = try TestClient(old)
        let registration = try await client.register(password: "a")
        // Everything is in the database file itself after an erasure.
        try old.store.eraseOldVersions()
        try files.copyItem(atPath: folder.path("vault.sqlite"), toPath: folder.path("copy.sqlite"))
        try files.copyItem(atPath: folder.path("anchor"), toPath: folder.path("copy.anchor"))
        let serial = try await client.status().serial
        for _ in 0..<10 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
        try (old.store as? SQLiteRecordStore)?.close()
        func putBack(_ copy: String, _ name: String) throws {
            try files.removeItem(atPath: folder.path(name))
            try files.copyItem(atPath: folder.path(copy), toPath: folder.path(name))
        }
        try putBack("copy.sqlite", "vault.sqlite")
        for suffix in ["-wal", "-shm"] { try? files.removeItem(atPath: folder.path("vault.sqlite" + suffix)) }
        await #expect(throws: VaultStartError.self) { try await reopened(old, in: folder) }
        try putBack("copy.anchor", "anchor")
        let again = client.talking(to: try await reopened(old, in: folder))
        #expect(try await again.status().attemptsLeft == 10, "the file anchor does not stop this, and says so")
    }

    @Test func `two processes with one store and one anchor file take turns, and neither refuses`() async throws {
        let folder = try TemporaryFolder()
        let vault = try await vault(in: folder)
        let other = SealedRecords(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: false), dataKey: vault.dataKey,
            anchor: FileAnchor(path: folder.path("anchor")))
        let records = vault.records
        let done = await withTaskGroup(of: Int.self) { group in
            for records in [records, other] {
                group.addTask {
                    var (generator, count) = (SystemRandomNumberGenerator(), 0)
                    for _ in 0..<40 {
                        do throws(LedgerError) {
                            let view = try records.load([])
                            try records.commit([], time: view.time, on: view, using: &generator)
                            count += 1
                        } catch {
                            switch error {
                            case .conflict, .unknownOutcome: continue
                            case .unavailable, .damaged, .anchorUnavailable, .anchorDamaged, .rolledBack:
                                return -1000
                            }
                        }
                    }
                    return count
                }
            }
            return await group.reduce(0, +)
        }
        #expect(done > 0)
        let audit = try vault.records.audit()
        #expect(audit.epoch >= 3 + UInt64(clamping: done))
    }

    @Test func `an audit proves every record, and finds the one that was altered`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        for number in 0..<5 { try await TestClient(vault, account: "person-\(number)").register(password: "a") }
        let audit = try vault.records.audit()
        #expect(audit.recordCount == 8 && !audit.isOneAhead && audit.epoch == store.copied().epoch)
        let good = store.copied()
        let client = try TestClient(vault, account: "person-3")
        store.tamper(vault.records.sealer.account(client.name)) { $0[50] ^= 1 }
        #expect(throws: LedgerError.self) { try vault.records.audit() }
        store.restore(good)
        _ = try vault.records.audit()
    }

    @Test func `an audit changes nothing, and says when the anchor is one batch behind`() async throws {
        let (store, anchor) = (MemoryRecordStore(), MemoryAnchor())
        let vault = try await TestVault(store: store, anchor: anchor)
        var generator = SystemRandomNumberGenerator()
        let records = vault.records
        let view = try records.load([])
        anchor.fail(next: .unavailable)
        #expect(throws: LedgerError.self) {
            try records.commit([], time: view.time, on: view, using: &generator)
        }
        let held = anchor.held
        #expect(try vault.records.audit().isOneAhead && anchor.held == held)
    }
}
