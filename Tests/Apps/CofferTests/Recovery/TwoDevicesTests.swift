import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Testing

/// A phone whose registration lacks a vault, and a tablet that registers anew with the same K meanwhile.
@Suite struct `Late delivery with real vaults` {
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let right = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))
    let third = SecretBytes(copying: Array("third".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    private func recover(_ client: FleetClient, _ password: SecretBytes) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry)
    }

    private func register(_ client: FleetClient, _ password: SecretBytes) async throws -> Enrolment {
        try await client.register(backupKey: backupKey, password: password, argon2: Self.argon2)
    }

    /// What a phone keeps that registered while vault three was down.
    private func phone(_ fleet: RealFleet) async throws -> UndeliveredShares {
        fleet.takeDown(3)
        let enrolment = try await register(try fleet.client(), right)
        fleet.takeDown()
        #expect(enrolment.missing.map(\.vault.index) == [3])
        return try #require(enrolment.undelivered)
    }

    private func areAllActive(_ enrolment: Enrolment, _ client: FleetClient) async -> Bool {
        let ids = await activeIDs(client)
        return ids.count == 5 && ids.allSatisfy { $0 == enrolment.registrationID }
    }

    private func activeIDs(_ client: FleetClient) async -> [RegistrationID?] {
        await client.status().answered.map { answered in
            answered.reply.held.first { held in held.role == .active }?.registrationID
        }
    }

    @Test func `a share delivered after another device registered anew is dropped, and the password still works`()
        async throws
    {
        let fleet = try await RealFleet()
        let kept = try await phone(fleet)
        let tablet = try fleet.client()
        #expect(try await recover(tablet, right).lackingShare.map(\.index) == [3])
        let anew = try await register(tablet, right)
        #expect(anew.activated.count == 5)
        #expect(anew.undelivered == nil)
        let late = try await fleet.client().deliver(kept, backupKey: backupKey)
        #expect(late.undelivered == nil)
        #expect(late.activated.isEmpty)
        #expect(await areAllActive(anew, tablet))
        for pair in [(1, 2), (3, 4), (4, 5)] as [(UInt8, UInt8)] {
            fleet.takeDown(pair.0, pair.1)
            #expect(try await recover(tablet, right).backupKey.isEqual(to: backupKey))
        }
    }

    /// Five Status, five Prepare, five Activate, four Retire: the tablet is cut after each of the last nine.
    @Test(arguments: 0...9)
    func `a late share does no harm to a registration that was cut short`(count: Int) async throws {
        let fleet = try await RealFleet()
        let kept = try await phone(fleet)
        let tablet = try fleet.client(transport: CutTransport(fleet, after: 10 + count))
        _ = try? await register(tablet, right)
        let client = try fleet.client()
        let before = await activeIDs(client)
        let late = try await client.deliver(kept, backupKey: backupKey)
        if count > 0 {
            #expect(late.undelivered == nil)
            let after = await activeIDs(client)
            #expect(after == before)
        } else {
            #expect(late.activated.count == 5)
        }
        for down in 1...5 as ClosedRange<UInt8> {
            fleet.takeDown(down)
            #expect(try await recover(client, right).backupKey.isEqual(to: backupKey), "\(down)")
        }
        fleet.takeDown()
        #expect(try await register(client, right).activated.count == 5)
    }

    @Test func `with too few vaults nothing is delivered, and the share is kept`() async throws {
        let fleet = try await RealFleet()
        let kept = try await phone(fleet)
        let tablet = try fleet.client()
        let anew = try await register(tablet, right)
        // A successor that one vault shows is enough.
        fleet.takeDown(1, 2, 4, 5)
        let client = try fleet.client()
        #expect(try await client.deliver(kept, backupKey: backupKey).undelivered == nil)
        fleet.takeDown()
        #expect(await areAllActive(anew, client))

        let other = try await RealFleet()
        let still = try await phone(other)
        other.takeDown(1, 2, 4)
        let early = try await other.client().deliver(still, backupKey: backupKey)
        #expect(early.undelivered?.shares.map(\.vaultID) == still.shares.map(\.vaultID))
        #expect(early.missing.contains { $0.vault.index == 3 })
        other.takeDown()
        let active = await activeIDs(try other.client())
        #expect(active.count { $0 == nil } == 1)
    }

    @Test func `a vault that missed two changes gets the last one's share`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, right)
        fleet.takeDown(5)
        _ = try await register(client, wrong)
        let last = try await register(client, third)
        #expect(last.missing.map(\.vault.index) == [5])
        fleet.takeDown()
        let complete = try await client.deliver(try #require(last.undelivered), backupKey: backupKey)
        #expect(complete.activated.count == 5)
        #expect(complete.undelivered == nil)
        fleet.takeDown(1, 2)
        #expect(try await recover(client, third).backupKey.isEqual(to: backupKey))
    }

    @Test func `a change that three of five vaults have is finished by delivery, which ends the old password`()
        async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, right)
        let cut = try fleet.client(transport: CutTransport(fleet, after: 13))
        let change = try await register(cut, wrong)
        #expect(change.activated.count == 3)
        #expect(change.missing.count == 2)
        #expect(await client.status().answered.allSatisfy { $0.reply.certificates.isEmpty })
        let complete = try await client.deliver(try #require(change.undelivered), backupKey: backupKey)
        #expect(complete.activated.count == 5)
        #expect(complete.undelivered == nil)
        let replies = await client.status().answered.map(\.reply)
        #expect(replies.allSatisfy { $0.certificates.count == 1 })
        #expect(replies.allSatisfy { $0.held.count == 1 })
        #expect(try await recover(client, wrong).backupKey.isEqual(to: backupKey))
    }
}
