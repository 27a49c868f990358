import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Testing

/// Vaults that have no attempts left, or have erased their share, while the others recover; and entries of a password
/// that are continued.
@Suite struct `Spent vaults and continued entries` {
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let right = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))

    private func registered() async throws -> (RealFleet, FleetClient) {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        #expect(try await register(client).activated.count == 5)
        return (fleet, client)
    }

    private func register(_ client: FleetClient) async throws -> Enrolment {
        try await client.register(
            backupKey: backupKey, password: right, argon2: Argon2Parameters(memoryKiB: 19 * 1024, passes: 2))
    }

    private func recover(_ client: FleetClient) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: right, entry: &entry)
    }

    /// Uses up the attempts at one vault: after the Status replies nobody else is reached.
    private func spend(_ index: UInt8, of fleet: RealFleet, statusReplies: Int = 5) async throws {
        for _ in 0..<6 {
            let client = try fleet.client(transport: CutTransport(fleet, after: statusReplies, but: index))
            var entry: PasswordEntry?
            await #expect(throws: RecoveryError.self) {
                _ = try await client.recover(password: wrong, entry: &entry)
            }
        }
    }

    private func failure(
        _ client: FleetClient, _ password: SecretBytes, _ entry: inout PasswordEntry?
    ) async throws -> RecoveryError? {
        do throws(RecoveryError) {
            _ = try await client.recover(password: password, entry: &entry)
            return nil
        } catch { return error }
    }

    private func attemptsLeft(_ client: FleetClient) async -> [UInt8] {
        await client.status().answered.map(\.reply.attemptsLeft)
    }

    @Test func `a vault without attempts is named, and registering anew after a recovery mends it`() async throws {
        let (fleet, client) = try await registered()
        try await spend(1, of: fleet)
        let impairments = await client.status().impairments
        #expect(impairments.map(\.vault.index) == [1])
        guard case .refused(.destructionPending) = impairments.first?.problem else {
            Issue.record("\(impairments)")
            return
        }
        let recovered = try await recover(client)
        #expect(recovered.lackingShare.map(\.index) == [1])
        #expect(try await register(client).activated.count == 5)
        #expect(await attemptsLeft(client) == [6, 6, 6, 6, 6])
        #expect(await client.status().impairments.isEmpty)
        #expect(try await recover(client).lackingShare.isEmpty)
    }

    @Test func `a vault that erased its share is named, and gets another, at once or later`() async throws {
        for isDown in [false, true] {
            let (fleet, client) = try await registered()
            try await spend(1, of: fleet)
            fleet.clock.pass(seconds: 73 * 3600)
            let impairments = await client.status().impairments
            #expect(impairments.map(\.vault.index) == [1])
            guard case .refused(.destroyed) = impairments.first?.problem else {
                Issue.record("\(impairments)")
                return
            }
            #expect(try await recover(client).lackingShare.map(\.index) == [1])
            if isDown { fleet.takeDown(1) }
            let anew = try await register(client)
            let missing: [UInt8] = isDown ? [1] : []
            #expect(anew.missing.map(\.vault.index) == missing)
            #expect((anew.undelivered != nil) == isDown)
            fleet.takeDown()
            if let undelivered = anew.undelivered {
                #expect(try await client.deliver(undelivered, backupKey: backupKey).undelivered == nil)
            }
            fleet.takeDown(4, 5)
            #expect(try await recover(client).lackingShare.isEmpty)
        }
    }

    @Test func `too few vaults that could evaluate are named before anything is charged`() async throws {
        let (fleet, client) = try await registered()
        try await spend(1, of: fleet)
        try await spend(2, of: fleet)
        fleet.takeDown(3)
        let before = await attemptsLeft(client)
        var entry: PasswordEntry?
        guard case .tooFewVaults(_, let answered, let problems, let charged) = try await failure(client, right, &entry)
        else {
            Issue.record("two of five recovered")
            return
        }
        #expect(answered == 2)
        #expect(charged == 0)
        #expect(problems.map(\.vault.index).sorted() == [1, 2, 3])
        #expect(await attemptsLeft(client) == before)
    }

    @Test func `who tries again with the same entry is charged once, however often the replies are lost`() async throws
    {
        let (fleet, client) = try await registered()
        var entry: PasswordEntry?
        for _ in 0..<3 {
            fleet.loseReplies(1000, after: 5)
            guard case .tooFewVaults(_, _, _, let charged) = try await failure(client, right, &entry) else {
                Issue.record("recovered without replies")
                return
            }
            #expect(charged == 5)
            fleet.loseReplies(0)
            #expect(await attemptsLeft(client) == [5, 5, 5, 5, 5])
        }
        #expect(try await client.recover(password: right, entry: &entry).attemptsLeft == 10)
        #expect(entry == nil)
        #expect(await attemptsLeft(client) == [6, 6, 6, 6, 6])
    }

    @Test func `the last attempt goes on with the same entry after its replies were lost`() async throws {
        let (fleet, client) = try await registered()
        for index in 1...5 as ClosedRange<UInt8> {
            for _ in 0..<5 {
                let alone = try fleet.client(transport: CutTransport(fleet, after: 5, but: index))
                var entry: PasswordEntry?
                _ = try? await alone.recover(password: wrong, entry: &entry)
            }
        }
        #expect(await attemptsLeft(client) == [1, 1, 1, 1, 1])
        var entry: PasswordEntry?
        fleet.loseReplies(1000, after: 5)
        await #expect(throws: RecoveryError.self) {
            _ = try await client.recover(password: right, entry: &entry)
        }
        fleet.loseReplies(0)
        #expect(await attemptsLeft(client) == [0, 0, 0, 0, 0])
        #expect(try await client.recover(password: right, entry: &entry).backupKey.isEqual(to: backupKey))
    }
}
