import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Synchronization
import Testing

/// Changes of password that are cut short, one upon the other, while some vaults lie about what they have.
@Suite struct `Changes upon changes with real vaults` {
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let first = SecretBytes(copying: Array("first".utf8))
    let second = SecretBytes(copying: Array("second".utf8))
    let third = SecretBytes(copying: Array("third".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    /// What a device writes down.
    final class Notebook: Sendable {
        private let pages = Mutex<(standing: RegistrationName?, written: [String])>((nil, []))
        let isFullFrom: Int

        init(fullFrom count: Int = .max) { isFullFrom = count }

        var written: [String] { pages.withLock { $0.written } }
        var standing: RegistrationName? { pages.withLock { $0.standing } }

        struct Full: Error {}

        var notes: RegistrationNotes {
            RegistrationNotes(standing: standing) { [self] note in
                try pages.withLock { pages in
                    guard pages.written.count < isFullFrom else { throw Full() }
                    switch note {
                    case .begins: pages.written.append("begins")
                    case .stands(let name):
                        pages.written.append("stands")
                        pages.standing = name
                    }
                }
            }
        }
    }

    /// Lets so many messages through to each vault.
    final class RationedTransport: VaultTransport {
        private let fleet: RealFleet
        private let left: Mutex<[UInt8: Int]>

        init(_ fleet: RealFleet, _ rations: [UInt8: Int]) {
            self.fleet = fleet
            left = Mutex(rations)
        }

        func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
            try await fleet.announcement(of: vault)
        }

        func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
            let isCut = left.withLock { left in
                guard let count = left[vault.index] else { return false }
                left[vault.index] = count - 1
                return count <= 0
            }
            if isCut { throw .unreachable("cut") }
            return try await fleet.send(message, to: vault)
        }
    }

    private func register(
        _ client: FleetClient, _ password: SecretBytes, _ notebook: Notebook? = nil
    ) async throws -> Enrolment {
        try await client.register(
            backupKey: backupKey, password: password, argon2: Self.argon2,
            notes: notebook?.notes ?? RegistrationNotes())
    }

    private func recover(_ client: FleetClient, _ password: SecretBytes) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry)
    }

    private func held(_ client: FleetClient) async -> [UInt8: [RegistrationID]] {
        var found: [UInt8: [RegistrationID]] = [:]
        for (vault, reply) in await client.status().answered { found[vault.index] = reply.evaluable.map(\.id) }
        return found
    }

    @Test func `an earlier registration ends when all vaults have the new one, and not before`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        let before = try await register(client, first)
        fleet.takeDown(5)
        let change = try await register(client, second)
        #expect(change.activated.count == 4)
        // Two of the four could lie: the old one is what three honest vaults have.
        for (_, ids) in await held(client) { #expect(ids == [change.registrationID, before.registrationID]) }
        let kept = try #require(change.undelivered)
        #expect(try await client.deliver(kept, backupKey: backupKey).undelivered != nil)
        fleet.takeDown()
        #expect(try await client.deliver(kept, backupKey: backupKey).undelivered == nil)
        let after = await held(client)
        #expect(after.count == 5 && after.allSatisfy { $0.value == [change.registrationID] })
        #expect(await client.status().answered.allSatisfy { $0.reply.certificates.count == 1 })
    }

    @Test func `what a lost answer left of the old one is ended by the next delivery`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, first)
        // Status, Prepare and Activate pass at vault two, and Retire does not.
        let rationed = try fleet.client(transport: RationedTransport(fleet, [2: 3]))
        let change = try await register(rationed, second)
        #expect(change.missing.isEmpty)
        let kept = try #require(change.undelivered)
        #expect(kept.shares.isEmpty)
        #expect(await held(client)[2]?.count == 2)
        #expect(try await client.deliver(kept, backupKey: backupKey).undelivered == nil)
        #expect(await held(client)[2]?.count == 1)
    }

    /// A change that reached vaults one and two, and then another one, cut at every message to those two. Vaults four
    /// and five may lie, so that the three others must all keep what stands.
    @Test(arguments: [(3, 2), (2, 3), (4, 2), (4, 3), (4, 4), (5, 5)])
    func `a change upon one that was cut short never pushes out what stands`(one: Int, two: Int) async throws {
        let fleet = try await RealFleet()
        let (client, notebook) = (try fleet.client(), Notebook())
        let standing = try await register(client, first, notebook)
        #expect(notebook.standing?.id == standing.registrationID)
        let cut = try fleet.client(transport: RationedTransport(fleet, [1: 3, 2: 3, 3: 2, 4: 2, 5: 2]))
        await #expect(throws: EnrolmentError.self) { _ = try await register(cut, second, notebook) }
        #expect(await held(client).count { $0.value.count == 2 } == 2)
        let again = try fleet.client(transport: RationedTransport(fleet, [1: one, 2: two, 3: 2]))
        _ = try? await register(again, third, notebook)
        for vault in 1...3 as ClosedRange<UInt8> {
            #expect(await held(client)[vault]?.contains(standing.registrationID) == true, "\(vault)")
        }
        // Whatever was left half done, the change can be made.
        let last = try await register(client, third, notebook)
        #expect(last.activated.count == 5 && last.undelivered == nil)
        #expect(notebook.standing?.id == last.registrationID)
        fleet.takeDown(1, 2)
        #expect(try await recover(client, third).backupKey.isEqual(to: backupKey))
    }

    @Test func `a device that has noted nothing takes a change back that most vaults did not hear of`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        let standing = try await register(client, first)
        let cut = try fleet.client(transport: RationedTransport(fleet, [1: 3, 2: 3, 3: 2, 4: 2, 5: 2]))
        _ = try? await register(cut, second)
        let again = try fleet.client(transport: RationedTransport(fleet, [1: 3, 2: 3, 3: 2, 4: 2, 5: 2]))
        _ = try? await register(again, third)
        let ids = await held(client)
        #expect(ids.count == 5 && ids.allSatisfy { $0.value == [standing.registrationID] })
        #expect(try await recover(client, first).backupKey.isEqual(to: backupKey))
    }

    @Test func `a device notes what stands before anything ends, and gives up kept shares before anything begins`()
        async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        let before = try await register(client, first)
        do {
            _ = try await register(client, second, Notebook(fullFrom: 0))
            Issue.record("registered without a note")
        } catch {
            guard case .notNoted = error as? EnrolmentError else {
                Issue.record("\(error)")
                return
            }
        }
        #expect(await held(client).allSatisfy { $0.value == [before.registrationID] })
        let full = Notebook(fullFrom: 1)
        let change = try await register(client, second, full)
        #expect(full.written == ["begins"])
        #expect(change.activated.count == 5)
        #expect(await held(client).allSatisfy { $0.value == [change.registrationID, before.registrationID] })
        let later = Notebook()
        let kept = try #require(change.undelivered)
        #expect(try await client.deliver(kept, backupKey: backupKey, notes: later.notes).undelivered == nil)
        #expect(later.written == ["stands"])
        #expect(await held(client).allSatisfy { $0.value == [change.registrationID] })
    }

    @Test func `a note that another device's change has overtaken is followed by its certificate`() async throws {
        let fleet = try await RealFleet()
        let (client, phone) = (try fleet.client(), Notebook())
        _ = try await register(client, first, phone)
        _ = try await register(client, second, Notebook())
        let last = try await register(client, third, phone)
        #expect(last.activated.count == 5 && last.undelivered == nil)
        #expect(phone.standing?.id == last.registrationID)
        #expect(await held(client).allSatisfy { $0.value == [last.registrationID] })
    }
}
