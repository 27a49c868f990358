import ByteCoding
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// The head of a backup at a whole vault: store, anchor, channel.
@Suite struct HeadTests {
    let store = MemoryRecordStore()
    let anchor = MemoryAnchor()

    private func scene() async throws -> (TestVault, TestClient, NewRegistration) {
        let vault = try await TestVault(store: store, anchor: anchor)
        let client = try TestClient(vault)
        return (vault, client, try await client.register(password: "a"))
    }

    private func randomHead() -> SealedHead {
        var generator = SystemRandomNumberGenerator()
        return .random(using: &generator)
    }

    @Test func `what was acknowledged is in the store and anchored, for every other process`() async throws {
        let (vault, client, registration) = try await scene()
        let head = randomHead()
        let epoch = store.copied().epoch
        let serial = try await client.status().serial
        #expect(
            try await client.ask(client.setHead(head, of: registration, serial: serial)) == .headSet(serial: serial + 1)
        )
        #expect(store.copied().epoch == epoch + 1 && anchor.held.epoch == epoch + 1)
        let other = client.talking(to: try await vault.reopened())
        #expect(try await other.head(of: registration) == KeptHead(head: head))
    }

    @Test func `no acknowledgement leaves before the anchor holds it`() async throws {
        let (_, client, registration) = try await scene()
        let (head, serial) = (randomHead(), try await client.status().serial)
        let epoch = store.copied().epoch
        anchor.fail(next: .unavailable)
        let message = try client.setHead(head, of: registration, serial: serial)
        #expect(try await client.ask(message) == .refused(.unavailable))
        #expect(
            store.copied().epoch == epoch + 1 && anchor.held.epoch == epoch, "committed, not anchored, not answered")
        #expect(try await client.ask(message) == .refused(.staleSerial(current: serial + 1)), "it was set, once")
        #expect(try await client.head(of: registration) == KeptHead(head: head))
    }

    @Test func `an older store with an older head is not served, and restored as the newest it is marked`() async throws
    {
        let (vault, client, registration) = try await scene()
        func set(_ head: SealedHead) async throws {
            _ = try await client.ask(client.setHead(head, of: registration, serial: try await client.status().serial))
        }
        let (old, new) = (randomHead(), randomHead())
        try await set(old)
        let copy = store.copied()
        try await set(new)
        try await set(new)
        store.restore(copy)
        await #expect(throws: (any Error).self) { try await vault.reopened() }
        var generator = SystemRandomNumberGenerator()
        _ = try vault.records.restore(evenIfCurrent: false, using: &generator)
        let restored = client.talking(to: try await vault.reopened())
        let status = try await restored.status()
        let nonce = try #require(status.frozen)
        #expect(
            try await restored.ask(restored.setHead(new, of: registration, serial: status.serial)) == .refused(.frozen))
        let id = registration.record.header.registrationID
        let signed = try SignedBytes.thaw(restored.context(status.serial), registrationID: id, nonce: nonce)
        _ = try await restored.ask(
            .thaw(
                ThawRequest(
                    serial: status.serial, registrationID: id, nonce: nonce,
                    signature: registration.managementKey.sign(signed))))
        #expect(try await restored.head(of: registration) == KeptHead(head: old, isRestored: true))
    }

    @Test func `the store shows nobody the head`() async throws {
        let (_, client, registration) = try await scene()
        let head = randomHead()
        _ = try await client.ask(client.setHead(head, of: registration, serial: try await client.status().serial))
        let stored = store.copied().records.values.flatMap { $0 }
        #expect(!stored.isEmpty && stored.allSatisfy { $0.sealed.firstRange(of: head.bytes) == nil })
    }
}
