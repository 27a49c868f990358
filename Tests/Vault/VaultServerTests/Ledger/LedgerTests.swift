import ByteCoding
import Primitives
import RecordStores
import RecoveryProtocol
import TestSupport
import Testing
import VaultCore
import VaultServer

@Suite struct LedgerTests {
    @Test func `two processes on one store answer ten guesses between them`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("vault.sqlite")
        let vault = try await TestVault(store: try SQLiteRecordStore(path: path, creating: true))
        let other = try await VaultService(
            records: SealedRecords(
                store: try SQLiteRecordStore(path: path, creating: false), dataKey: vault.dataKey, anchor: vault.anchor),
            clock: { [clock = vault.clock] in clock.now }, logger: .silent)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let announcements = try await [
            KeyAnnouncement(decoding: vault.service.keyAnnouncement()),
            KeyAnnouncement(decoding: other.keyAnnouncement()),
        ]
        let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let service = number % 2 == 0 ? vault.service : other
                    let exchange = try ClientExchange(
                        Request(
                            token: client.token, operation: .evaluate(TestClient.guess(registration, serial: serial))),
                        to: announcements[number % 2])
                    let reply = try exchange.open(
                        SealedReply(decoding: try await service.handle(exchange.sealed.encoded())))
                    if case .evaluated = reply { return true }
                    return false
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(answered == 10)
    }

    @Test func `a batch against an old epoch is refused whole`() async throws {
        let vault = try await TestVault()
        let records = vault.records
        var generator = SystemRandomNumberGenerator()
        let view = try records.load([records.sealer.configuration])
        try records.commit([], time: view.time, on: view, using: &generator)
        #expect(throws: LedgerError.conflict) {
            try records.commit(
                [SealedRecords.Change(index: 0, value: VaultConfiguration(name: "other"))], time: view.time, on: view,
                using: &generator)
        }
        #expect(try VaultAdministration(records: records).configuration().name == "test")
    }

    @Test func `a commit that failed is not answered and charges nothing`() async throws {
        let store = MemoryRecordStore()
        let client = try TestClient(try await TestVault(store: store))
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        store.fail(next: .unavailable)
        let guess = TestClient.guess(registration, serial: serial)
        #expect(try await client.ask(.evaluate(guess)) == .refused(.unavailable))
        #expect(try await client.status().attemptsLeft == 10)
    }

    @Test func `a commit whose outcome nobody knows is not answered, and its repeat is charged once`() async throws {
        for fault in [MemoryRecordStore.Fault.unknownButWritten, .unknownAndLost] {
            let store = MemoryRecordStore()
            let client = try TestClient(try await TestVault(store: store))
            let registration = try await client.register(password: "a")
            let serial = try await client.status().serial
            let attempt = try client.attempt("a", at: registration)
            store.fail(next: fault)
            #expect(try await client.evaluate(attempt, serial: serial) == .refused(.unavailable))
            guard case .evaluated(let reply) = try await client.evaluate(attempt, serial: serial) else {
                Issue.record("the repeat was not answered")
                continue
            }
            #expect(reply.attemptsLeft == 9)
        }
    }

    @Test func `accounts that were never met look alike, and are written once`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let clients = try (0..<20).map { try TestClient(vault, account: "person-\($0)") }
        var serials: [UInt64] = []
        for client in clients {
            let status = try await client.status()
            #expect(status.state == .notRegistered && status.record == nil && status.held.isEmpty)
            serials.append(status.serial)
        }
        #expect(Swift.Set(serials).count == 20, "random at first")
        let met = store.commitCount
        for (client, serial) in zip(clients, serials) { #expect(try await client.status().serial == serial) }
        #expect(store.commitCount == met)
    }

    @Test func `an account that nobody has met and one that was deleted are answered alike, with as many reads`()
        async throws
    {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let left = try TestClient(vault, account: "left")
        let registration = try await left.register(password: "a")
        let serial = try await left.status().serial
        _ = try await left.ask(left.delete(registration, serial: serial))
        let unknown = try TestClient(vault, account: "never-met")
        func without(serial status: StatusReply) -> StatusReply {
            StatusReply(
                serial: 0, vaultTime: status.vaultTime, state: status.state, attemptsLeft: status.attemptsLeft,
                attemptsPerVault: status.attemptsPerVault, notBefore: status.notBefore, held: status.held,
                record: status.record, certificates: status.certificates, ended: status.ended, waiting: status.waiting,
                changedWithoutKey: status.changedWithoutKey, frozen: status.frozen)
        }
        let commits = store.commitCount
        var statuses: [StatusReply] = []
        var sizes: [Int] = []
        var reads: [Int] = []
        for client in [left, unknown] {
            let before = store.loadCount
            statuses.append(try await client.status())
            sizes.append(try await vault.service.handle(client.seal(.status(StatusRequest())).sealed.encoded()).count)
            let guess = TestClient.guess(registration, serial: try await client.status().serial)
            #expect(try await client.ask(.evaluate(guess)) == .refused(.notRegistered))
            reads.append(store.loadCount - before)
        }
        #expect(without(serial: statuses[0]) == without(serial: statuses[1]))
        #expect(sizes[0] == sizes[1] && reads[0] == reads[1] && store.commitCount == commits)
    }

    @Test func `a clock that goes back brings no wait, expiry or attempt back`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 3)
        policy.waitsSeconds = [3600, 600]
        let vault = try await TestVault(policy: policy)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let start = vault.clock.now.wallSeconds
        _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        #expect(try await client.status().notBefore == Timestamp(unixSeconds: start + 600))
        vault.clock.setWall(seconds: start - 30 * 60)
        var early = client
        early.token = vault.token("alice")
        let status = try await early.status()
        #expect(status.vaultTime == Timestamp(unixSeconds: start))
        #expect(
            try await early.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                == .refused(.tooEarly(notBefore: Timestamp(unixSeconds: start + 600))))
        // The wait ends by the process's own clock; it does not stand still until the wall clock has caught up.
        vault.clock.pass(seconds: 601)
        guard case .evaluated = try await early.ask(.evaluate(TestClient.guess(registration, serial: serial))) else {
            Issue.record("the wait did not end")
            return
        }
    }

    @Test func `a record in another place, another version or another vault does not open`() async throws {
        let vault = try await TestVault()
        let key = vault.records.sealer.configuration
        let stored = try #require(try vault.store.load([key]).records[0])
        let sealer = vault.records.sealer
        #expect(throws: Never.self) { try sealer.open(VaultConfiguration.self, stored) }
        let moved = [
            StoredRecord(key: key, slot: 1, epoch: stored.epoch, sealed: stored.sealed, dueSeconds: nil),
            StoredRecord(key: key, slot: 0, epoch: stored.epoch + 1, sealed: stored.sealed, dueSeconds: nil),
            StoredRecord(
                key: sealer.identity, slot: 0, epoch: stored.epoch, sealed: stored.sealed, dueSeconds: nil),
        ]
        for record in moved {
            #expect(throws: RecordDamaged.self) { try sealer.open(VaultConfiguration.self, record) }
        }
        let other = RecordSealer(dataKey: SecretBytes(copying: [UInt8](repeating: 1, count: 32)))
        #expect(throws: RecordDamaged.self) { try other.open(VaultConfiguration.self, stored) }
    }

    @Test func `a record is as large after three guesses as it was before`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        func stored() throws -> StoredRecord {
            try #require(try vault.store.load([vault.records.sealer.account(client.name)]).records[0])
        }
        let before = try stored()
        for _ in 0..<3 {
            guard case .evaluated = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
            else {
                Issue.record("not evaluated")
                return
            }
        }
        #expect(try stored().epoch > before.epoch)
        #expect(try stored().sealed.count == before.sealed.count)
    }

    @Test(arguments: [0, 1, 919, 920, 921, 16_384])
    func `a record opens with zeros behind it, as one of before that has none, and with nothing else`(
        length: Int
    ) throws {
        struct Bytes: ByteCodable, Equatable {
            private static let limits = 0...0xffff
            let bytes: [UInt8]

            init(_ bytes: [UInt8]) { self.bytes = bytes }
            init(from reader: inout ByteReader) throws(ByteCodingError) { bytes = try reader.vector(Self.limits) }
            func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
                try writer.vector(bytes, Self.limits)
            }
        }
        let dataKey = SecretBytes(copying: [UInt8](repeating: 7, count: 32))
        let sealer = RecordSealer(dataKey: dataKey)
        let key = sealer.tenant("t")
        var generator = SystemRandomNumberGenerator()
        func record(_ plaintext: [UInt8]) -> StoredRecord {
            var plaintext = plaintext
            let sealed = sealer.seal(wiping: &plaintext, key: key, slot: 3, epoch: 4, using: &generator)
            #expect(plaintext.allSatisfy { $0 == 0 })
            return StoredRecord(key: key, slot: 3, epoch: 4, sealed: sealed, dueSeconds: nil)
        }
        let value = Bytes([UInt8](repeating: 9, count: length))
        let encoded = try value.encoded()
        let padded = record(encoded)
        #expect((padded.sealed.count - 40) % 920 == 0 && padded.sealed.count - 40 - encoded.count < 920)
        #expect(try sealer.open(Bytes.self, padded) == value)
        #expect(throws: RecordDamaged.self) { try sealer.open(Bytes.self, record(encoded + [0, 1])) }

        let sealKey = hkdfSHA512(dataKey, salt: [], info: Array("coffer vault v1 record seal".utf8), count: 32)
        let nonce = [UInt8](repeating: 5, count: 24)
        var place = ByteWriter()
        place.raw(Array("record".utf8) + key.bytes)
        place.uint64(3)
        place.uint64(4)
        let bare = nonce + XChaCha20Poly1305(key: sealKey).seal(encoded, nonce: nonce, authenticating: place.bytes)
        let early = StoredRecord(key: key, slot: 3, epoch: 4, sealed: bare, dueSeconds: nil)
        #expect(try sealer.open(Bytes.self, early) == value)
    }

    @Test func `a damaged record is never served`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let client = try TestClient(vault)
        try await client.register(password: "a")
        store.tamper(vault.records.sealer.account(client.name)) { $0[40] ^= 1 }
        #expect(try await client.ask(.status(StatusRequest())) == .refused(.unavailable))
    }
}
