import Coffer
import Primitives
import RecoveryProtocol
import Testing

/// One K takes the place of another at the vaults, under the same password, by the old one's word.
@Suite struct `Another key in the place of one with real vaults` {
    let old = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let new = SecretBytes(copying: [UInt8](repeating: 0x4c, count: 32))
    let password = SecretBytes(copying: Array("password".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    private func register(
        _ client: FleetClient, _ key: SecretBytes, _ earlier: [SecretBytes] = []
    ) async throws -> Enrolment {
        try await client.register(backupKey: key, earlierKeys: earlier, password: password, argon2: Self.argon2)
    }

    private func recovered(_ client: FleetClient) async throws -> SecretBytes {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry).backupKey
    }

    @Test func `at once, and then the old one manages nothing`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, old)
        let enrolment = try await register(client, new, [old])
        #expect(enrolment.activated.count == 5 && enrolment.undelivered == nil && enrolment.waitsUntil == nil)
        #expect(try await recovered(client).isEqual(to: new))
        #expect(await client.remove(backupKey: old).deleted.isEmpty)
        #expect(await client.remove(backupKey: new).deleted.count == 5)
    }

    @Test func `without the old one's word it does not, and nothing is lost`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, old)
        await #expect(throws: EnrolmentError.self) { _ = try await register(client, new) }
        #expect(try await recovered(client).isEqual(to: old))
    }

    @Test func `a vault that was down gets it later by the same word`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, old)
        fleet.takeDown(5)
        let enrolment = try await register(client, new, [old])
        #expect(enrolment.missing.map(\.vault.index) == [5])
        fleet.takeDown()
        #expect(try await recovered(client).isEqual(to: new))
        let undelivered = try #require(enrolment.undelivered)
        let delivered = try await client.deliver(undelivered, backupKey: new, earlierKeys: [old])
        #expect(delivered.missing.isEmpty && delivered.undelivered == nil)
        fleet.takeDown(1, 2)
        #expect(try await recovered(client).isEqual(to: new))
    }

    @Test func `cut after any message it leaves one of them, and goes on`() async throws {
        for count in stride(from: 0, through: 24, by: 2) {
            let fleet = try await RealFleet()
            let client = try fleet.client()
            _ = try await register(client, old)
            _ = try? await register(try fleet.client(transport: CutTransport(fleet, after: count)), new, [old])
            let between = try await recovered(client)
            #expect(between.isEqual(to: old) || between.isEqual(to: new), "cut after \(count)")
            let enrolment = try await register(client, new, [old])
            #expect(enrolment.missing.isEmpty && enrolment.undelivered == nil, "cut after \(count)")
            #expect(try await recovered(client).isEqual(to: new), "cut after \(count)")
            #expect(await client.remove(backupKey: new).deleted.count == 5, "cut after \(count)")
        }
    }
}
