import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

@Suite struct AttemptTests {
    @Test func `the right password recovers the key, and Confirm gives the attempt back`() async throws {
        let client = try TestClient(try await TestVault())
        let registration = try await client.register(password: "correct horse")
        let status = try await client.status()
        #expect(status.state == .active)
        #expect(status.attemptsLeft == 10)
        #expect(try status.record?.recordHash() == registration.recordHash)

        let attempt = try client.attempt("correct horse", at: registration)
        guard case .evaluated(let reply) = try await client.evaluate(attempt, serial: status.serial) else {
            Issue.record("not evaluated")
            return
        }
        let recovered = try attempt.finish([try attempt.check(reply, from: client.vault.vaultID)])
        #expect(recovered.backupKey.withBytes { Array($0) } == [UInt8](repeating: 7, count: 32))
        #expect(try await client.status().attemptsLeft == 9)

        let confirm = try client.confirm([attempt.receipt], of: registration, serial: status.serial)
        #expect(try await client.ask(confirm) == .confirmed(serial: status.serial + 1, attemptsLeft: 10))
    }

    @Test func `a lost reply asked for again is answered and not charged twice`() async throws {
        let client = try TestClient(try await TestVault())
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let attempt = try client.attempt("a", at: registration)
        let first = try await client.evaluate(attempt, serial: serial)
        for repeated in 0..<20 {
            // Even under a serial that is long over.
            let again = try await client.evaluate(attempt, serial: serial &- UInt64(repeated))
            guard case .evaluated(let one) = first, case .evaluated(let other) = again else {
                Issue.record("not evaluated")
                return
            }
            #expect(one.evaluation == other.evaluation)
            #expect(other.attemptsLeft == 9)
        }
        #expect(try await client.status().attemptsLeft == 9)
    }

    @Test func `another element under a known attempt id is refused and not charged`() async throws {
        let client = try TestClient(try await TestVault())
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let first = TestClient.guess(registration, serial: serial)
        _ = try await client.ask(.evaluate(first))
        let second = EvaluateRequest(
            serial: serial, registrationID: first.registrationID, attemptID: first.attemptID,
            blindedElement: TestClient.guess(registration, serial: serial).blindedElement)
        #expect(try await client.ask(.evaluate(second)) == .refused(.attemptReused))
        #expect(try await client.status().attemptsLeft == 9)
    }

    @Test func `the right password on the last attempt succeeds even when its first reply is lost`() async throws {
        let vault = try await TestVault()
        let client = try TestClient(vault)
        let registration = try await client.register(password: "right")
        let serial = try await client.status().serial
        for _ in 0..<9 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
        let attempt = try client.attempt("right", at: registration)
        _ = try await client.evaluate(attempt, serial: serial)  // lost
        let pending = try await client.status()
        #expect(pending.attemptsLeft == 0)
        guard case .destructionPending = pending.state else {
            Issue.record("\(pending.state)")
            return
        }
        let stranger = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        guard case .refused(.destructionPending) = stranger else {
            Issue.record("\(stranger)")
            return
        }
        vault.clock.pass(seconds: 71 * 3600)
        var renewed = client
        renewed.token = vault.token("alice")
        guard case .evaluated(let reply) = try await renewed.evaluate(attempt, serial: serial) else {
            Issue.record("the repeat was not answered")
            return
        }
        _ = try attempt.finish([try attempt.check(reply, from: vault.vaultID)])
        let confirm = try renewed.confirm([attempt.receipt], of: registration, serial: serial)
        #expect(try await renewed.ask(confirm) == .confirmed(serial: serial + 1, attemptsLeft: 1))
        #expect(try await renewed.status().state == .active)
        vault.clock.pass(seconds: 3600)
        renewed.token = vault.token("alice")
        await vault.service.settleDue()
        #expect(try await renewed.status().state == .active)
    }

    @Test func `after the grace the right password is refused, with the time of destruction`() async throws {
        let vault = try await TestVault()
        var client = try TestClient(vault)
        let registration = try await client.register(password: "right")
        let serial = try await client.status().serial
        let attempt = try client.attempt("right", at: registration)
        _ = try await client.evaluate(attempt, serial: serial)
        for _ in 0..<9 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
        vault.clock.pass(seconds: 72 * 3600 + 1)
        client.token = vault.token("alice")
        await vault.service.settleDue()
        let status = try await client.status()
        #expect(status.state == .destroyed(at: Timestamp(unixSeconds: vault.clock.now.wallSeconds)))
        #expect(status.record == nil && status.held.isEmpty && status.serial == serial + 1)
        let reply = try await client.evaluate(attempt, serial: status.serial)
        #expect(reply == .refused(.destroyed(at: Timestamp(unixSeconds: vault.clock.now.wallSeconds))))
    }

    @Test func `a hundred concurrent guesses against a limit of ten are answered ten times`() async throws {
        let client = try TestClient(try await TestVault())
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    let reply = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                    if case .evaluated = reply { return true }
                    return false
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(answered == 10)
        #expect(try await client.status().attemptsLeft == 0)
    }
}
