import ByteCoding
import Primitives
import RecoveryProtocol
import Synchronization
import Testing
import VaultCore
import VaultServer

@Suite struct ServiceTests {
    @Test func `every sealed message repeated by the network in any order has one effect`() async throws {
        let vault = try await TestVault()
        let recorded = Mutex<[[UInt8]]>([])
        let client = try TestClient(vault) { bytes in
            recorded.withLock { $0.append(bytes) }
            return try await vault.service.handle(bytes)
        }
        let first = try await client.register(password: "a")
        var serial = try await client.status().serial
        let guess = TestClient.guess(first, serial: serial)
        _ = try await client.ask(.evaluate(guess))
        _ = try await client.ask(client.confirm([guess.receipt], of: first, serial: serial))
        let second = try await client.register(password: "b", replacing: first)
        serial = try await client.status().serial
        _ = try await client.ask(.evaluate(TestClient.guess(second, serial: serial)))

        let key = vault.records.sealer.account(client.name)
        func record() throws -> AccountRecord? { try vault.records.load([key]).account(at: 0) }
        let settled = try #require(try record())
        #expect(settled.attemptsLeft == 9)
        for bytes in recorded.withLock({ $0 + $0 }).shuffled() {
            _ = try await vault.service.handle(bytes)
            #expect(try record() == settled)
        }
    }

    @Test func `a repeated request never meets the same reply key`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let exchange = try await client.seal(.status(StatusRequest()))
        let bytes = try exchange.sealed.encoded()
        var salts = Swift.Set<[UInt8]>()
        for _ in 0..<10 {
            let reply = try SealedReply(decoding: try await vault.service.handle(bytes))
            salts.insert(reply.salt)
            guard case .status = try exchange.open(reply) else {
                Issue.record("not a status")
                return
            }
        }
        #expect(salts.count == 10)
    }

    @Test func `a channel key serves a day, an hour beside the next, and is gone then`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let old = try await client.seal(.status(StatusRequest())).sealed
        let announced = try await vault.service.keyAnnouncement()
        vault.clock.pass(seconds: 24 * 3600 - 1)
        #expect(try await vault.service.keyAnnouncement() == announced)
        vault.clock.pass(seconds: 1)
        let next = try await KeyAnnouncement(decoding: vault.service.keyAnnouncement())
        #expect(next.keyID != old.keyID)
        try next.check(
            fleetID: vault.fleet.id, vault: vault.fleet.vaults[0],
            now: Timestamp(unixSeconds: vault.clock.now.wallSeconds))
        vault.clock.pass(seconds: 3599)
        _ = try await vault.service.handle(old.encoded())
        vault.clock.pass(seconds: 1)
        await #expect(throws: MessageRefusal.unknownKey) { try await vault.service.handle(old.encoded()) }
        // Setting the clock back keeps no key alive.
        vault.clock.setWall(seconds: 1_800_000_000)
        await #expect(throws: MessageRefusal.unknownKey) { try await vault.service.handle(old.encoded()) }
    }

    @Test func `another process does not know the channel keys of the last one`() async throws {
        let vault = try await TestVault()
        let sealed = try await TestClient(vault).seal(.status(StatusRequest())).sealed.encoded()
        let restarted = try await vault.reopened()
        await #expect(throws: MessageRefusal.unknownKey) { try await restarted.handle(sealed) }
    }

    @Test func `random, short, long and bent messages are refused before anything is read`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let sealed = try await client.seal(.evaluate(TestClient.guess(registration, serial: serial))).sealed.encoded()
        var generator = SystemRandomNumberGenerator()
        for count in [0, 1, 100, sealed.count - 1, sealed.count, sealed.count + 1, 100_000] {
            await #expect(throws: MessageRefusal.self) { try await vault.service.handle(generator.bytes(count)) }
        }
        for _ in 0..<100 {
            var bent = sealed
            bent[Int.random(in: 0..<bent.count)] ^= 1 << UInt8.random(in: 0..<8)
            await #expect(throws: MessageRefusal.self) { try await vault.service.handle(bent) }
        }
        #expect(try await client.status().attemptsLeft == 10)
    }

    /// Seals any plaintext, as only somebody who writes a client of his own can.
    private func seal(_ plaintext: [UInt8], for vault: TestVault) async throws -> [UInt8] {
        let announcement = try await KeyAnnouncement(decoding: vault.service.keyAnnouncement())
        let clear = [SealedRequest.version] + announcement.vaultID.bytes + announcement.keyID.bytes
        let made = try HybridHPKE.seal(
            plaintext, to: announcement.publicKey, info: labelled(.channelInfo) { $0.raw(clear) },
            exportLabel: Label.channelExport.bytes)
        return clear + made.encapsulated + made.ciphertext
    }

    @Test func `hostile plaintexts, sealed well, are refused and change nothing`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let good = try Request(
            token: client.token, operation: .evaluate(TestClient.guess(registration, serial: serial))
        ).encoded()
        func padded(_ message: [UInt8]) -> [UInt8] {
            let prefix = [UInt8(message.count >> 8), UInt8(message.count & 0xff)]
            let filled = prefix + message + [UInt8](repeating: 0, count: Limits.requestPlaintextBytes)
            return Array(filled[..<Limits.requestPlaintextBytes])
        }
        var generator = SystemRandomNumberGenerator()
        var plaintexts = (0..<50).map { _ in generator.bytes(Limits.requestPlaintextBytes) }
        plaintexts += (0..<50).map { _ in padded(Array(good[..<Int.random(in: 0..<good.count)])) }
        plaintexts += [
            padded(good + [0]), padded([]), [0xff, 0xff] + padded(good).dropFirst(2),
            Array(padded(good).dropLast()) + [1], [UInt8](repeating: 0, count: Limits.requestPlaintextBytes),
        ]
        let key = vault.records.sealer.account(client.name)
        let before = try vault.store.load([key])
        for plaintext in plaintexts {
            _ = try await vault.service.handle(try seal(plaintext, for: vault))
        }
        for _ in 0..<200 {
            // Bent anywhere but in the blinded element and the attempt id, which make it another guess.
            var bent = good
            bent[Int.random(in: 0..<client.token.count + 10)] ^= 1 << UInt8.random(in: 0..<8)
            _ = try await vault.service.handle(try seal(padded(bent), for: vault))
        }
        #expect(try vault.store.load([key]).records == before.records)
        // The same way round, unbent: so it was not the sealing that was refused.
        _ = try await vault.service.handle(try seal(padded(good), for: vault))
        #expect(try await client.status().attemptsLeft == 9)
    }

    @Test func `an account that asks too often is told to wait, and its signed messages are not`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 10)
        policy.requestsPerMinuteMax = 20
        let vault = try await TestVault(policy: policy)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let guess = TestClient.guess(registration, serial: serial)
        _ = try await client.ask(.evaluate(guess))
        var refused = 0
        for _ in 0..<30 {
            if case .refused(.busy) = try await client.ask(.status(StatusRequest())) { refused += 1 }
        }
        #expect(refused == 15)
        #expect(
            try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                == .refused(.busy(retryAfterSeconds: 60)))
        guard case .evaluated = try await client.ask(.evaluate(guess)) else {
            Issue.record("a repeat was refused")
            return
        }
        let confirm = try client.confirm([guess.receipt], of: registration, serial: serial)
        #expect(try await client.ask(confirm) == .confirmed(serial: serial + 1, attemptsLeft: 10))
        let other = try TestClient(vault, account: "bob")
        _ = try await other.status()
        vault.clock.pass(seconds: 60)
        _ = try await client.status()
    }

    @Test func `the circuit breaker stops new attempts of a tenant and lets go after an hour`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 10)
        policy.chargesPerHourMax = 12
        let vault = try await TestVault(policy: policy)
        var answered = 0
        for account in 0..<5 {
            let client = try TestClient(vault, account: "person-\(account)")
            let registration = try await client.register(password: "a")
            let serial = try await client.status().serial
            for _ in 0..<4 {
                let reply = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                if case .evaluated = reply { answered += 1 } else { #expect(reply == .refused(.suspended)) }
            }
        }
        #expect(answered == 12)
        vault.clock.pass(seconds: 3600)
        let client = try TestClient(vault, account: "late")
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        guard case .evaluated = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) else {
            Issue.record("still suspended")
            return
        }
    }

    @Test func `destructions that time alone brings open the circuit breaker of their tenant`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 1)
        policy.destructionsPerHourMax = 2
        let vault = try await TestVault(policy: policy)
        for account in 0..<2 {
            let client = try TestClient(vault, account: "person-\(account)")
            let registration = try await client.register(password: "a")
            let serial = try await client.status().serial
            _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        }
        let client = try TestClient(vault, account: "third")
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        vault.clock.pass(seconds: 72 * 3600)
        await vault.service.settleDue()
        var later = client
        later.token = vault.token("third")
        let guess = TestClient.guess(registration, serial: serial)
        #expect(try await later.ask(.evaluate(guess)) == .refused(.suspended))
        vault.clock.pass(seconds: 3600)
        later.token = vault.token("third")
        guard case .evaluated = try await later.ask(.evaluate(guess)) else {
            Issue.record("still suspended")
            return
        }
    }

    @Test func `a vault without a fleet, or of another fleet, does not serve`() async throws {
        var generator = SystemRandomNumberGenerator()
        let store = MemoryRecordStore()
        let records = SealedRecords(store: store, dataKey: .random(32, using: &generator), anchor: MemoryAnchor())
        _ = try VaultAdministration(records: records).create(name: "alone", using: &generator)
        await #expect(throws: VaultStartError.noFleet) {
            try await VaultService(records: records, clock: SystemClock.now, logger: .silent)
        }
        let other = try await TestVault()
        try VaultAdministration(records: records).setFleet(other.fleet)
        await #expect(throws: VaultStartError.self) {
            try await VaultService(records: records, clock: SystemClock.now, logger: .silent)
        }
        #expect(throws: LedgerError.self) {
            try VaultAdministration(records: records).create(name: "again", using: &generator)
        }
    }

    @Test func `no account, token, password or share stands in the log`() async throws {
        let log = RecordingLog()
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store, logger: log.logger)
        let client = try TestClient(vault, account: "alice-in-person")
        let registration = try await client.register(password: "open sesame")
        let serial = try await client.status().serial
        store.fail(next: .unavailable)
        _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        _ = try await client.status()
        store.tamper(vault.records.sealer.account(client.name)) { $0[40] ^= 1 }
        _ = try await client.ask(.status(StatusRequest()))
        store.fail(next: .unavailable)
        vault.clock.pass(seconds: 3600)
        await vault.service.settleDue()
        let answered = "\(LogLine.request.text)"
        #expect(log.text.split(separator: "\n").count { !$0.hasPrefix(answered) } == 4)
        let share = try #require(registration.share(for: vault.vaultID)).encoded()
        let shareForms = [Hex.encode(share), Base64URL.encode(share), "\(share)"]
        for secret in ["alice", TestVault.tenant, "sesame", String(decoding: client.token, as: UTF8.self)] + shareForms
        {
            #expect(!log.text.contains(secret))
        }
    }

    @Test func `another data key opens nothing and serves nothing`() async throws {
        let vault = try await TestVault()
        let records = SealedRecords(
            store: vault.store, dataKey: SecretBytes(copying: [UInt8](repeating: 1, count: 32)), anchor: vault.anchor)
        await #expect(throws: VaultStartError.self) {
            try await VaultService(records: records, clock: SystemClock.now, logger: .silent)
        }
    }

    @Test func `an account that nobody registered takes no place in the store, and keeps its serial`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        let commits = store.commitCount
        let alice = try await TestClient(vault, account: "alice").status()
        let bob = try await TestClient(vault, account: "bob").status()
        #expect(alice.serial != bob.serial)
        #expect(alice.serial < 1 << 63)
        _ = try await vault.reopened()
        #expect(try await TestClient(vault, account: "alice").status().serial == alice.serial)
        #expect(store.commitCount == commits)
        let client = try TestClient(vault, account: "alice")
        try await client.register(password: "a")
        #expect(try await client.status().serial == alice.serial + 1)
    }
}
