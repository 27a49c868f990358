import ByteCoding
import CPKCS11
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import Testing
import VaultCore
import VaultServer

/// The newest head in SoftHSM2.
@Suite struct TokenAnchorTests {
    private let folder: TemporaryFolder
    private let soft: SoftToken
    private let id: TokenObjectID
    private let chain = HeadChain()

    init() throws {
        folder = try TemporaryFolder()
        soft = try SoftHSM.newToken()
        var generator = SystemRandomNumberGenerator()
        id = .random(using: &generator)
    }

    /// As another process would open it; with a lock of its own, as another machine would.
    private func anchor(lock: String = "lock", interval: UInt32 = 0, isSynced: Bool = false) throws -> TokenAnchor {
        TokenAnchor(
            try soft.open(in: folder), settings: try soft.settings(id, interval: interval, isSynced: isSynced),
            lockPath: folder.path(lock))
    }

    private func objects(_ anchor: TokenAnchor) throws -> Int {
        _ = try anchor.heads()
        let raw = try RawSession(soft)
        defer { raw.close() }
        return try raw.all(CKO_DATA).count
    }

    @Test func `it takes one step at a time, and repeats, and nothing else, and has one object at rest`() throws {
        let anchor = try anchor()
        #expect(throws: AnchorError.self) { try anchor.heads() }
        try anchor.create()
        #expect(throws: AnchorError.self) { try anchor.create() }
        #expect(try anchor.heads() == [.none])
        let one = chain.head(after: .none)
        let two = chain.head(after: one)
        try anchor.advance(to: one)
        try anchor.advance(to: one)
        #expect(try self.anchor().heads() == [one.anchored])
        #expect(throws: AnchorError.moved) { try anchor.advance(to: chain.head(after: .none, seconds: 5)) }
        #expect(throws: AnchorError.moved) { try anchor.advance(to: chain.head(after: two)) }
        try anchor.advance(to: two)
        #expect(throws: AnchorError.moved) { try anchor.advance(to: one) }
        #expect(try anchor.heads() == [two.anchored])
        #expect(try objects(anchor) == 1)
    }

    @Test func `what was torn in writing is passed over, and swept with the next step`() throws {
        let anchor = try anchor()
        try anchor.create()
        let one = chain.head(after: .none)
        try anchor.advance(to: one)
        let raw = try RawSession(soft)
        defer { raw.close() }
        let whole = try raw.value(CKA_VALUE, of: try raw.only(CKO_DATA))
        let label = "coffer-vault anchor \(id)"
        for torn in [[], Array(whole.dropLast()), whole + [0], Array(whole.prefix(50)), Array(whole.reversed())] {
            try raw.createData(label: label, value: torn)
        }
        for position in [0, 1, 17, 24, 25, 56, 57, whole.count - 1] {
            var bent = whole
            bent[position] ^= 1
            try raw.createData(label: label, value: bent)
        }
        try raw.createData(label: "coffer-vault anchor of another", value: whole)
        #expect(try anchor.heads() == [one.anchored])
        #expect(try objects(anchor) == 15)
        let two = chain.head(after: one)
        try anchor.advance(to: two)
        #expect(try anchor.heads() == [two.anchored])
        #expect(try objects(anchor) == 2, "one of this vault, and the other vault's")
    }

    @Test func `a step that was cut before the old head was destroyed is complete`() throws {
        let anchor = try anchor()
        try anchor.create()
        let one = chain.head(after: .none)
        try anchor.advance(to: one)
        let raw = try RawSession(soft)
        defer { raw.close() }
        let old = try raw.value(CKA_VALUE, of: try raw.only(CKO_DATA))
        let two = chain.head(after: one)
        try anchor.advance(to: two)
        try raw.createData(label: "coffer-vault anchor \(id)", value: old)
        #expect(try anchor.heads() == [two.anchored])
        try anchor.advance(to: two)
        #expect(try objects(anchor) == 1)
    }

    /// Two machines resumed from one snapshot, with one network token: no lock that both see.
    @Test func `of two machines that go on at the same time at most one does`() async throws {
        try anchor().create()
        var last = KeyedHead.none
        var both = 0
        for round in 0..<25 as Range<UInt64> {
            let heads = [chain.head(after: last, seconds: round), chain.head(after: last, seconds: 1000 + round)]
            let anchors = [try anchor(lock: "here"), try anchor(lock: "there")]
            let done = await withTaskGroup(of: Int?.self) { group in
                for index in 0..<2 {
                    group.addTask { (try? anchors[index].advance(to: heads[index])) == nil ? nil : index }
                }
                return await group.reduce(into: [Int]()) { if let index = $1 { $0.append(index) } }
            }
            #expect(done.count <= 1)
            both += done.count
            let held = try anchors[0].heads()
            #expect(held.count == 1 && done.allSatisfy { held == [heads[$0].anchored] })
            last = heads.first { held == [$0.anchored] } ?? last
        }
        #expect(both > 0)
    }

    @Test func `an object that was put there without the PIN is no anchor`() throws {
        let (one, other) = (chain.head(after: .none), try SoftHSM.newToken())
        let two = chain.head(after: one)
        let elsewhere = TokenAnchor(
            try other.open(in: folder), settings: try other.settings(id, interval: 0, isSynced: false),
            lockPath: folder.path("lock"))
        try elsewhere.create()
        for step in [one, two] { try elsewhere.advance(to: step) }
        let there = try RawSession(other)
        defer { there.close() }
        let anchor = try anchor()
        try anchor.create()
        try anchor.advance(to: one)
        let raw = try RawSession(soft)
        defer { raw.close() }
        try raw.createData(
            label: "coffer-vault anchor \(id)", value: try there.value(CKA_VALUE, of: try there.only(CKO_DATA)),
            isPrivate: false)
        #expect(try anchor.heads() == [one.anchored])
        try anchor.advance(to: two)
        #expect(try anchor.heads() == [two.anchored])
    }

    @Test func `two heads of one epoch are both shown, so that neither passes`() throws {
        let anchor = try anchor()
        try anchor.create()
        let one = chain.head(after: .none)
        try anchor.advance(to: one)
        let raw = try RawSession(soft)
        defer { raw.close() }
        let value = try raw.value(CKA_VALUE, of: try raw.only(CKO_DATA))
        try raw.createData(label: "kept", value: value)
        // The other machine's head of the same epoch, as it would have written it.
        let other = try SoftHSM.newToken()
        let fork = chain.head(after: .none, seconds: 9)
        let elsewhere = TokenAnchor(
            try other.open(in: folder), settings: try other.settings(id), lockPath: folder.path("lock"))
        try elsewhere.create()
        try elsewhere.advance(to: fork)
        let there = try RawSession(other)
        defer { there.close() }
        try raw.createData(
            label: "coffer-vault anchor \(id)", value: try there.value(CKA_VALUE, of: try there.only(CKO_DATA)))
        #expect(Set(try anchor.heads()) == [one.anchored, fork.anchored])
        #expect(Standing(of: one, anchored: try anchor.heads()) != .current)
        #expect(throws: AnchorError.moved) { try anchor.advance(to: chain.head(after: one)) }
    }

    @Test func `a head moves into another token, and the old one has none afterwards`() throws {
        let old = try anchor()
        try old.create()
        let one = chain.head(after: .none)
        try old.advance(to: one)
        let other = try SoftHSM.newToken()
        let new = TokenAnchor(
            try other.open(in: folder), settings: try other.settings(id), lockPath: folder.path("lock"))
        try old.move(to: new) { () throws(AnchorError) in }
        #expect(try new.heads() == [one.anchored])
        #expect(throws: AnchorError.self) { try old.heads() }
        #expect(throws: AnchorError.self) { try old.advance(to: chain.head(after: one)) }
        try new.advance(to: chain.head(after: one))
    }

    @Test func `writes are as far apart as the settings say`() throws {
        let anchor = try anchor(interval: 40)
        try anchor.create()
        var last = KeyedHead.none
        let start = ContinuousClock.now
        for _ in 0..<4 {
            last = chain.head(after: last)
            try anchor.advance(to: last)
        }
        #expect(start.duration(to: .now) >= .milliseconds(120))
    }

    // MARK: With a store

    private func vault() async throws -> TestVault {
        let anchor = try anchor(isSynced: true)
        try anchor.create()
        return try await TestVault(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: true), anchor: anchor)
    }

    @Test func `a SQLite file that is put back is refused by the token`() async throws {
        let files = FileManager.default
        let vault = try await vault()
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        try vault.store.eraseOldVersions()
        try files.copyItem(atPath: folder.path("vault.sqlite"), toPath: folder.path("copy.sqlite"))
        let serial = try await client.status().serial
        for _ in 0..<3 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
        try (vault.store as? SQLiteRecordStore)?.close()
        for name in ["vault.sqlite", "vault.sqlite-wal", "vault.sqlite-shm"] {
            try? files.removeItem(atPath: folder.path(name))
        }
        try files.copyItem(atPath: folder.path("copy.sqlite"), toPath: folder.path("vault.sqlite"))
        let records = SealedRecords(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: false), dataKey: vault.dataKey,
            anchor: try anchor())
        let error = #expect(throws: LedgerError.self) { try records.load([]) }
        guard case .rolledBack(.storeIsBehind) = error else { return #expect(Bool(false), "\(error as Any)") }
    }

    @Test func `two processes with one store and one token take turns, and neither refuses`() async throws {
        let vault = try await vault()
        let other = SealedRecords(
            store: try SQLiteRecordStore(path: folder.path("vault.sqlite"), creating: false), dataKey: vault.dataKey,
            anchor: try anchor())
        let records = vault.records
        let done = await withTaskGroup(of: Int.self) { group in
            for records in [records, other] {
                group.addTask {
                    var (generator, count) = (SystemRandomNumberGenerator(), 0)
                    for _ in 0..<15 {
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
        #expect(try vault.records.audit().epoch >= 3 + UInt64(clamping: done))
    }
}
