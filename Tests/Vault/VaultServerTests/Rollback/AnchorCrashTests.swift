import ByteCoding
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// What happens between the commit and the anchor.
@Suite struct AnchorCrashTests {
    let store = MemoryRecordStore()
    let anchor = MemoryAnchor()

    private func scene() async throws -> (TestVault, TestClient, NewRegistration, serial: UInt64) {
        let vault = try await TestVault(store: store, anchor: anchor)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        return (vault, client, registration, try await client.status().serial)
    }

    @Test func `no answer leaves before the anchor holds the charge`() async throws {
        let (_, client, registration, serial) = try await scene()
        anchor.fail(next: .unavailable)
        let guess = TestClient.guess(registration, serial: serial)
        let epoch = store.copied().epoch
        #expect(try await client.ask(.evaluate(guess)) == .refused(.unavailable))
        #expect(store.copied().epoch == epoch + 1 && anchor.held.epoch == epoch, "charged, not anchored, not answered")
        // The repeat is completed first, and is not charged again.
        guard case .evaluated(let reply) = try await client.ask(.evaluate(guess)) else {
            Issue.record("the repeat was not answered")
            return
        }
        #expect(reply.attemptsLeft == 9 && anchor.held.epoch == epoch + 1)
    }

    @Test func `an anchor that cannot say whether it took the head is asked again`() async throws {
        let (vault, client, registration, serial) = try await scene()
        anchor.fail(next: .unknownButHeld)
        let guess = TestClient.guess(registration, serial: serial)
        #expect(try await client.ask(.evaluate(guess)) == .refused(.unavailable))
        _ = try await vault.reopened()
        guard case .evaluated(let reply) = try await client.ask(.evaluate(guess)) else {
            Issue.record("the repeat was not answered")
            return
        }
        #expect(reply.attemptsLeft == 9)
    }

    @Test func `the second batch is not committed while the anchor lacks the first`() async throws {
        let (_, client, registration, serial) = try await scene()
        let epoch = store.copied().epoch
        // One failure after the commit, then one for each try to complete it.
        anchor.fail(next: .unavailable, .unavailable, .unavailable, .unavailable)
        for _ in 0..<4 {
            #expect(await client.isUnanswered(.evaluate(TestClient.guess(registration, serial: serial))))
        }
        #expect(store.copied().epoch == epoch + 1 && anchor.held.epoch == epoch)
        #expect(try await client.status().attemptsLeft == 9, "one of the four was charged")
        #expect(anchor.held.epoch == epoch + 1)
    }

    @Test func `a crash at each step loses no charge and answers none twice`() async throws {
        let (vault, client, registration, serial) = try await scene()
        let faults: [(MemoryRecordStore.Fault?, MemoryAnchor.Fault?, isCharged: Bool)] = [
            (.unavailable, nil, false), (.unknownAndLost, nil, false), (.unknownButWritten, nil, true),
            (nil, .unavailable, true), (nil, .unknownButHeld, true),
        ]
        var left: UInt8 = 10
        for (storeFault, anchorFault, isCharged) in faults {
            if let storeFault { store.fail(next: storeFault) }
            if let anchorFault { anchor.fail(next: anchorFault) }
            let guess = TestClient.guess(registration, serial: serial)
            #expect(try await client.ask(.evaluate(guess)) == .refused(.unavailable))
            // The process died with it; another one starts.
            _ = try await vault.reopened()
            let after = store.copied()
            #expect(anchor.held == (try KeyedHead(decoding: after.head).anchored))
            if isCharged { left -= 1 }
            #expect(try await client.status().attemptsLeft == left)
        }
    }

    @Test func `an anchor that is unavailable at the start serves nothing and changes nothing`() async throws {
        let (vault, client, _, _) = try await scene()
        anchor.set { $0.isReadable = false }
        let epoch = store.copied().epoch
        await #expect(throws: VaultStartError.self) { try await vault.reopened() }
        #expect(store.copied().epoch == epoch)
        anchor.set { $0.isReadable = true }
        #expect(try await client.status().attemptsLeft == 10)
    }

    @Test func `two vault processes with an anchor each cannot both go on`() async throws {
        // The store is one, so the epoch decides; the anchors are two, so the slower one's is behind and refuses.
        let (vault, client, registration, serial) = try await scene()
        let second = MemoryAnchor()
        second.set { $0.held = anchor.held }
        let other = try await VaultService(
            records: SealedRecords(store: store, dataKey: vault.dataKey, anchor: second),
            clock: { [clock = vault.clock] in clock.now }, logger: .silent)
        for _ in 0..<3 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
        let late = try TestClient(vault, carrier: { try await other.handle($0) })
        let exchange = try await ClientExchange(
            Request(token: late.token, operation: .status(StatusRequest())),
            to: KeyAnnouncement(decoding: vault.service.keyAnnouncement()))
        // The other process has channel keys of its own, and cannot even say them once it looks at the store again.
        vault.clock.pass(seconds: 2)
        await #expect(throws: (any Error).self) { try await other.keyAnnouncement() }
        await #expect(throws: MessageRefusal.unknownKey) { try await other.handle(exchange.sealed.encoded()) }
    }

    @Test func `a machine resumed twice from one snapshot: the second finds the shared anchor further on`() async throws
    {
        let (vault, client, registration, serial) = try await scene()
        let copy = MemoryRecordStore()
        copy.restore(store.copied())
        let twin = SealedRecords(store: copy, dataKey: vault.dataKey, anchor: anchor)
        // It was running when the snapshot was made: what it verified is still in its memory.
        let view = try twin.load([])
        _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        var generator = SystemRandomNumberGenerator()
        #expect(throws: LedgerError.self) {
            try twin.commit([], time: view.time, on: view, using: &generator)
        }
        #expect(throws: LedgerError.self) { try twin.load([]) }
        #expect(try await client.status().attemptsLeft == 9, "the first one goes on")
    }
}
