import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Synchronization
import Testing

@Suite struct `Fleet client with vaults that do not answer, and sign-ins that are not accepted` {
    let password = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))

    private func register(_ client: FleetClient) async throws -> Enrolment {
        try await client.register(backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
    }

    @Test func `a vault that never answers is not waited for once enough have`() async throws {
        let fleet = try PlainFleet()
        // No deadline ever passes: only the grace, which is over at once, ends the waiting.
        let client = try fleet.client(hasDeadline: false, grace: {})
        fleet.set(.hung, 5)
        let enrolment = try await register(client)
        #expect(enrolment.activated.map(\.index) == [1, 2, 3, 4])
        #expect(enrolment.missing.map(\.vault.index) == [5])
        #expect(enrolment.undelivered != nil)
        var entry: PasswordEntry?
        let recovered = try await client.recover(password: password, entry: &entry)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        #expect(recovered.problems.first { $0.vault.index == 5 }?.problem == .timedOut)
        fleet.set(.honest, 5)
        fleet.set(.hung, 4)
        let removal = await client.remove(backupKey: backupKey)
        #expect(removal.deleted.map(\.index) == [1, 2, 3])
        #expect(removal.absent.map(\.index) == [5])
        #expect(removal.problems.map(\.vault.index) == [4])
    }

    @Test func `as long as too few have answered, the others are waited for until their deadline`() async throws {
        let fleet = try PlainFleet()
        _ = try await register(try fleet.client())
        let graces = Mutex(0)
        let client = try fleet.client(grace: { graces.withLock { $0 += 1 } })
        fleet.set(.hung, 1, 2, 3)
        let status = await client.status()
        #expect(status.answered.count == 2)
        #expect(status.problems.map(\.problem) == [.timedOut, .timedOut, .timedOut])
        #expect(graces.withLock { $0 } == 0)
    }

    @Test func `what broke is asked for once more, what timed out is not`() async throws {
        let fleet = try PlainFleet()
        let cases: [(VaultTransportError, Int)] = [
            (.unreachable("reset"), 2), (.refused(status: 500), 2), (.timedOut, 1),
        ]
        for (error, count) in cases {
            let transport = FailingTransport(error: error)
            let channel = VaultChannel(
                fleetID: fleet.fleet.id, transport: transport, tokens: { _ in [1] }, deadline: nil,
                now: { PlainVault.now })
            let answer = await channel.ask(.status(StatusRequest()), of: fleet.vaults[0].vault)
            #expect(throws: VaultProblem.self) { try answer.get() }
            #expect(transport.asked.withLock { $0 } == count)
        }
    }

    private final class FailingTransport: VaultTransport {
        let error: VaultTransportError
        let asked = Mutex(0)

        init(error: VaultTransportError) { self.error = error }

        func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
            asked.withLock { $0 += 1 }
            throw error
        }

        func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
            throw error
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

    @Test func `an entry goes first to the vaults that it was charged at`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        _ = try await register(client)
        fleet.set(.refusesToEvaluate(.unavailable), 3, 4, 5)
        var entry: PasswordEntry?
        guard case .tooFewVaults(_, let answered, _, let charged) = try await failure(client, wrong, &entry) else {
            Issue.record("two vaults were enough")
            return
        }
        #expect(answered == 2)
        #expect(charged == 2)
        fleet.set(.honest, 3, 4, 5)
        guard case .wrongPassword = try await failure(client, wrong, &entry) else {
            Issue.record("the password was not judged")
            return
        }
        #expect(entry == nil)
        #expect(fleet.vaults.map(\.attemptsLeft) == [5, 5, 5, 6, 6])
    }

    private func fault(_ client: FleetClient) async throws -> SignInFault? {
        do {
            _ = try await register(client)
            return nil
        } catch {
            guard case .signIn(let fault) = error as? EnrolmentError else { return nil }
            return fault
        }
    }

    @Test func `a registration and a removal say that it is the sign-in`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        _ = try await register(client)
        let causes: [(Refusal, SignInFault)] = [
            (.tokenExpired, .expired), (.unauthorised, .refused), (.wrongVault, .refused),
        ]
        for (refusal, expected) in causes {
            fleet.set(.refuses(refusal), 3, 4, 5)
            #expect(try await fault(client) == expected)
            #expect(await client.remove(backupKey: wrong).signInFault == expected)
        }
        fleet.set(.honest, 3, 4, 5)
        let without = try fleet.client(token: nil)
        #expect(try await fault(without) == .missing)
        #expect(await without.remove(backupKey: backupKey).signInFault == .missing)
        let slow = try fleet.client(now: PlainVault.now.subtracting(seconds: 100_000))
        #expect(try await fault(slow) == .clock)
        #expect(await slow.remove(backupKey: backupKey).signInFault == .clock)
    }

    @Test func `vaults that are down are not the sign-in's fault`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        fleet.set(.down, 1, 2)
        fleet.set(.refuses(.tokenExpired), 3)
        do {
            _ = try await register(client)
            Issue.record("two vaults were enough")
        } catch {
            guard case .tooFewVaults(4, 2, let problems) = error as? EnrolmentError else {
                Issue.record("\(error)")
                return
            }
            #expect(problems.map(\.vault.index) == [1, 2, 3])
        }
        #expect(await client.remove(backupKey: backupKey).signInFault == nil)
    }
}
