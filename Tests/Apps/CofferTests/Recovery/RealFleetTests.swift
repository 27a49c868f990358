import ByteCoding
import Coffer
import Foundation
import Hummingbird
import Logging
import Primitives
import RecordStores
import RecoveryProtocol
import Synchronization
import Testing
import VaultCore
import VaultServer

@Suite struct `Fleet client with real vaults` {
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let right = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    private func recover(_ client: FleetClient, _ password: SecretBytes) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry)
    }

    private func attemptsLeftAfterWrong(_ client: FleetClient) async throws -> Int? {
        do {
            _ = try await recover(client, wrong)
        } catch RecoveryError.wrongPassword(let left, _) { return left } catch {}
        return nil
    }

    private func register(_ client: FleetClient, _ password: SecretBytes) async throws -> Enrolment {
        try await client.register(backupKey: backupKey, password: password, argon2: Self.argon2)
    }

    @Test func `register, recover with any two down, change the password, disable`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        #expect(try await register(client, right).undelivered == nil)
        for pair in [(1, 2), (1, 5), (3, 4)] as [(UInt8, UInt8)] {
            fleet.takeDown(pair.0, pair.1)
            let recovered = try await recover(client, right)
            #expect(recovered.backupKey.isEqual(to: backupKey))
            #expect(recovered.problems.map(\.vault.index) == [pair.0, pair.1])
        }
        fleet.takeDown()
        #expect(try await register(client, wrong).activated.count == 5)
        #expect(try await recover(client, wrong).attemptsLeft == 10)
        #expect(await client.remove(backupKey: backupKey).deleted.count == 5)
        await #expect(throws: RecoveryError.self) { _ = try await recover(client, wrong) }
        #expect(try await register(client, right).undelivered == nil)
    }

    @Test func `lost replies at every step cost nothing`() async throws {
        for lost in [1, 3, 5] {
            let fleet = try await RealFleet()
            let client = try fleet.client()
            fleet.loseReplies(lost, spread: true)
            #expect(try await register(client, right).activated.count == 5)
            fleet.loseReplies(lost, spread: true)
            #expect(try await recover(client, right).backupKey.isEqual(to: backupKey))
            #expect(await client.status().attemptsLeft == 10)
        }
    }

    @Test func `wrong passwords count down to destruction, and then the right one is refused`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, right)
        var seen: [Int] = []
        while let left = try await attemptsLeftAfterWrong(client) { seen.append(left) }
        #expect(seen == Array((0...9).reversed()))
        do {
            _ = try await recover(client, right)
            Issue.record("recovered after the last attempt")
        } catch {
            guard case .noAttemptsLeft = error as? RecoveryError else {
                Issue.record("\(error)")
                return
            }
        }
        fleet.clock.pass(seconds: 73 * 3600)
        do {
            _ = try await recover(client, right)
            Issue.record("recovered after destruction")
        } catch {
            guard case .destroyed = error as? RecoveryError else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func `the right password on the last attempt wins, even when replies are lost`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, right)
        for _ in 0..<9 { _ = try await attemptsLeftAfterWrong(client) }
        #expect(await client.status().attemptsLeft == 1)
        // The five Status replies come through; all three evaluations are made, charged, and lost.
        fleet.loseReplies(3, after: 5, spread: true)
        let recovered = try await recover(client, right)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        #expect(recovered.attemptsLeft == 1)
        #expect(recovered.strangersAttempts > 0)
    }

    @Test func `near the end there is a wait, and it is said until when`() async throws {
        let fleet = try await RealFleet(waits: [24 * 3600, 4 * 3600, 15 * 60])
        let client = try fleet.client()
        _ = try await register(client, right)
        while try await attemptsLeftAfterWrong(client) != nil {}
        let left = await client.status().attemptsLeft
        do {
            _ = try await recover(client, right)
            Issue.record("there was no wait")
        } catch {
            guard case .tooEarly(let until) = error as? RecoveryError else {
                Issue.record("\(error)")
                return
            }
            #expect(until > Timestamp(unixSeconds: RealFleet.start))
            fleet.clock.pass(seconds: until.unixSeconds - RealFleet.start)
        }
        let recovered = try await recover(client, right)
        #expect(recovered.attemptsLeft == left)
    }

    @Test func `a change cut short by the network at any reply ends with a password that works`() async throws {
        for count in stride(from: 0, through: 12, by: 3) {
            let fleet = try await RealFleet()
            let client = try fleet.client()
            _ = try await register(client, right)
            let cut = CutTransport(fleet, after: 15 + count)
            let changing = try fleet.client(transport: cut)
            _ = try? await register(changing, wrong)
            var works = 0
            for password in [right, wrong] where (try? await recover(client, password)) != nil { works += 1 }
            #expect(works == 1, "\(count)")
            // And the change can be made again.
            #expect(try await register(client, wrong).activated.count == 5)
            #expect(try await recover(client, wrong).backupKey.isEqual(to: backupKey))
        }
    }

    @Test(arguments: 0...5)
    func `a new password active at any number of vaults: a new phone recovers, and any device with the key goes on`(
        activated: Int
    ) async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, right)
        // Five ask for the status, five prepare, and so many activate.
        let cut = CutTransport(fleet, after: 10 + activated)
        let changed = try? await register(try fleet.client(transport: cut), wrong)
        #expect((changed != nil) == (activated >= 3), "from t on the new password is said to be in use")
        let password = activated >= 3 ? wrong : right
        // A new phone knows the password alone, and finishes the change, as it does while the password is at hand.
        let phone = try await recover(try fleet.client(), password)
        #expect(phone.backupKey.isEqual(to: backupKey))
        #expect(try await register(try fleet.client(), password).activated.count == 5)
        // Another device holds the key and neither the password nor the shares that were not delivered.
        let device = await client.history(backupKey: backupKey)
        #expect(device.answered.count == 5 && device.foreign.isEmpty)
        for pair in [(1, 2), (3, 4), (4, 5)] as [(UInt8, UInt8)] {
            fleet.takeDown(pair.0, pair.1)
            #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
        }
    }

    @Test func `late shares arrive without a password, also when their acknowledgements are lost, and mint nothing`()
        async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        fleet.takeDown(5)
        let enrolment = try await register(client, right)
        let late = try #require(enrolment.undelivered)
        for _ in 0..<3 { #expect(try await attemptsLeftAfterWrong(client) != nil) }
        let before = await client.status().attemptsLeft
        fleet.takeDown()
        // Status passes at five vaults and Prepare at one; then the acknowledgement of the activation is lost twice.
        fleet.loseReplies(2, after: 6)
        #expect(try await client.deliver(late, backupKey: backupKey).undelivered != nil)
        for _ in 0..<5 {
            // Delivered again and again, as after a lost note that it is done.
            let delivered = try await client.deliver(late, backupKey: backupKey)
            #expect(delivered.undelivered == nil)
            #expect(delivered.activated.count == 5)
        }
        fleet.takeDown(5)
        #expect(await client.status().attemptsLeft == before)
        fleet.takeDown(1, 2)
        #expect(try await recover(client, right).backupKey.isEqual(to: backupKey))
    }

    @Test func `the same over HTTP`() async throws {
        let real = try await RealFleet()
        let (ports, continuation) = AsyncStream.makeStream(of: (VaultID, Int).self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in real.services {
                let application = try VaultHTTP(
                    service: service, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                ).application(host: "127.0.0.1", port: 0) { port in continuation.yield((service.vaultID, port)) }
                group.addTask { try await application.run() }
            }
            var urls: [VaultID: String] = [:]
            for await (id, port) in ports {
                urls[id] = "http://127.0.0.1:\(port)"
                if urls.count == 5 { break }
            }
            let vaults = real.fleet.vaults.map { vault in
                // The first URL of each leads nowhere: the second one is tried.
                Fleet.Vault(
                    index: vault.index, identityKey: vault.identityKey,
                    urls: ["http://127.0.0.1:1", urls[vault.id] ?? ""].filter { !$0.isEmpty })
            }
            let fleet = try Fleet(
                id: real.fleet.id, promisedTotal: 10, vaults: vaults, generations: real.fleet.generations)
            let client = try real.client(fleet: fleet, transport: HTTPVaultTransport())
            #expect(try await register(client, right).activated.count == 5)
            #expect(try await attemptsLeftAfterWrong(client) == 9)
            #expect(try await recover(client, right).backupKey.isEqual(to: backupKey))
            group.cancelAll()
        }
    }
}
