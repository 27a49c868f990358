import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `Fleet client` {
    let password = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))
    let backupKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))

    private func registered(of count: Int = 5, seed: UInt64 = 1) async throws -> (PlainFleet, FleetClient) {
        let fleet = try PlainFleet(of: count, seed: seed)
        let client = try fleet.client()
        let enrolment = try await client.register(
            backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
        #expect(enrolment.activated.count == count)
        #expect(enrolment.undelivered == nil)
        return (fleet, client)
    }

    private func recover(_ client: FleetClient, _ password: SecretBytes) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry)
    }

    private func error(_ client: FleetClient, _ password: SecretBytes) async throws -> RecoveryError {
        do {
            _ = try await recover(client, password)
        } catch let error as RecoveryError { return error }
        throw Unexpected()
    }

    struct Unexpected: Error {}

    @Test func `the password brings the key back, and the attempt is given back`() async throws {
        let (fleet, client) = try await registered()
        let recovered = try await recover(client, password)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        #expect(recovered.attemptsLeft == 10)
        #expect(recovered.strangersAttempts == 0)
        #expect(recovered.problems.isEmpty && recovered.lackingShare.isEmpty)
        #expect(fleet.vaults.allSatisfy { $0.attemptsLeft == 6 })
    }

    @Test(
        arguments: [
            [.down, .down], [.garbage, .down], [.badProof, .badProof], [.otherShare, .garbage],
            [.ownRecord, .ownRecord],
            [.claimsDestroyed, .claimsDestroyed], [.hung, .hung], [.refuses(.unavailable), .badProof],
            [.wrongKind, .ownRecord],
            [.refuses(.tokenExpired), .refuses(.unauthorised)],
        ] as [[PlainVault.Behaviour]])
    func `any two of five may fail or lie, and are named`(behaviours: [PlainVault.Behaviour]) async throws {
        let (fleet, client) = try await registered(seed: 7)
        for pair in [(1, 2), (2, 4), (4, 5)] {
            fleet.set(.honest, 1, 2, 3, 4, 5)
            fleet.set(behaviours[0], pair.0)
            fleet.set(behaviours[1], pair.1)
            let recovered = try await recover(client, password)
            #expect(recovered.backupKey.isEqual(to: backupKey))
            // A liar whose help was not needed is not met; one that was met is named.
            for report in recovered.problems { #expect([pair.0, pair.1].contains(Int(report.vault.index))) }
            if behaviours[0] != .badProof, behaviours[0] != .otherShare, behaviours[0] != .claimsDestroyed {
                #expect(recovered.problems.contains { Int($0.vault.index) == pair.0 })
            }
        }
    }

    @Test func `each lie has its name`() async throws {
        let lies: [(PlainVault.Behaviour, VaultProblem)] = [
            (.badProof, .misbehaves(.badProof)), (.otherShare, .misbehaves(.wrongShareKey)),
            (.ownRecord, .misbehaves(.wrongRecord)), (.wrongKind, .misbehaves(.garbage)),
            (.refuses(.unavailable), .refused(.unavailable)),
            (.hung, .timedOut), (.down, .unreachable("no connection")),
        ]
        for (behaviour, problem) in lies {
            let (fleet, client) = try await registered(of: 3)
            fleet.set(behaviour, 1)
            let recovered = try await recover(client, password)
            #expect(recovered.problems.map(\.problem) == [problem])
            #expect(recovered.problems.first?.vault.index == 1)
        }
    }

    @Test func `a wrong password says how many attempts are left, and three lost vaults say so`() async throws {
        let (fleet, client) = try await registered()
        for left in [9, 8, 7] {
            guard case .wrongPassword(left, _) = try await error(client, wrong) else {
                Issue.record("not a wrong password with \(left) attempts left")
                return
            }
        }
        #expect(await client.status().attemptsLeft == 7)
        fleet.set(.down, 1, 2, 3)
        guard case .tooFewVaults(3, 2, let problems, _) = try await error(client, password) else {
            Issue.record("three of five were down")
            return
        }
        #expect(problems.map(\.vault.index) == [1, 2, 3])
    }

    @Test func `ten wrong passwords end it, and the right one is refused`() async throws {
        let (fleet, client) = try await registered()
        var guesses = 0
        while case .wrongPassword = try await error(client, wrong) { guesses += 1 }
        #expect(guesses == 10)
        guard case .noAttemptsLeft = try await error(client, password) else {
            Issue.record("the attempts were used up")
            return
        }
        #expect(fleet.vaults.count { $0.attemptsLeft == 0 } >= 3)
        for vault in fleet.vaults { vault.with { $0.destroyedAt = PlainVault.now } }
        guard case .destroyed(PlainVault.now) = try await error(client, password) else {
            Issue.record("it was destroyed")
            return
        }
    }

    @Test func `a lost reply is asked for again and costs nothing`() async throws {
        let (fleet, client) = try await registered()
        // Status gets through at once; the replies to the evaluation and to Confirm are lost once each.
        for vault in fleet.vaults { vault.with { $0.behaviour = .losesReplies(1) } }
        let recovered = try await recover(client, password)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        for vault in fleet.vaults { vault.with { $0.behaviour = .honest } }
        #expect(fleet.vaults.allSatisfy { $0.attemptsLeft == 6 })
    }

    @Test func `an account that another device changes meanwhile is asked again with its new serial`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        fleet.set(.movesOn, 1, 2, 3, 4, 5)
        let enrolment = try await client.register(
            backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
        #expect(enrolment.activated.count == 5)
        let recovered = try await recover(client, password)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        #expect(recovered.attemptsLeft == 10)
        #expect(await client.remove(backupKey: backupKey).deleted.count == 5)
    }

    @Test func `an entry of a password goes on with further vaults, uncharged where it was charged before`()
        async throws
    {
        let (fleet, client) = try await registered()
        fleet.set(.badProof, 1, 2, 3)
        var entry: PasswordEntry?
        await #expect(throws: RecoveryError.self) {
            _ = try await client.recover(password: password, entry: &entry)
        }
        #expect(entry != nil)
        let before = fleet.vaults.map(\.attemptsLeft)
        #expect(before == [5, 5, 5, 5, 5])
        fleet.set(.honest, 1, 2, 3)
        let recovered = try await client.recover(password: password, entry: &entry)
        #expect(recovered.backupKey.isEqual(to: backupKey))
        #expect(entry == nil)
        #expect(recovered.attemptsLeft == 10)
        #expect(recovered.strangersAttempts == 0)
        #expect(fleet.vaults.allSatisfy { $0.attemptsLeft == 6 })
    }

    @Test func `a stranger's attempts stay charged, and the owner is told`() async throws {
        let (_, client) = try await registered()
        for _ in 0..<3 { _ = try await error(client, wrong) }
        let recovered = try await recover(client, password)
        #expect(recovered.strangersAttempts > 0)
        #expect(recovered.attemptsLeft == 7)
    }

    @Test func `waits, an expired token, a missing one and a wrong clock are told apart`() async throws {
        let (fleet, client) = try await registered()
        let later = PlainVault.now.adding(seconds: 900)
        for vault in fleet.vaults { vault.with { $0.notBefore = later } }
        guard case .tooEarly(later) = try await error(client, password) else {
            Issue.record("it was too early")
            return
        }
        for vault in fleet.vaults { vault.with { $0.notBefore = Timestamp(unixSeconds: 0) } }
        guard case .noToken = try await error(try fleet.client(token: nil), password) else {
            Issue.record("there was no token")
            return
        }
        let slow = try fleet.client(now: PlainVault.now.subtracting(seconds: 100_000))
        guard case .clock = try await error(slow, password) else {
            Issue.record("the clock was wrong")
            return
        }
        fleet.set(.refuses(.tokenExpired), 1, 2, 3, 4, 5)
        guard case .tokenExpired = try await error(client, password) else {
            Issue.record("the token had expired")
            return
        }
        fleet.set(.refuses(.unauthorised), 1, 2, 3, 4, 5)
        guard case .tokenRefused = try await error(client, password) else {
            Issue.record("the token was refused")
            return
        }
    }

    @Test func `who is not registered is told so, and one liar cannot say it`() async throws {
        let fleet = try PlainFleet()
        guard case .notRegistered = try await error(try fleet.client(), password) else {
            Issue.record("nobody is registered")
            return
        }
    }

    @Test func `registering needs t+1 vaults, and hands the rest out later without a password`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        fleet.set(.down, 4, 5)
        await #expect(throws: EnrolmentError.self) {
            _ = try await client.register(backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
        }
        fleet.set(.honest, 4)
        let enrolment = try await client.register(
            backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
        #expect(enrolment.missing.map(\.vault.index) == [5])
        let kept = try #require(enrolment.undelivered)
        let undelivered = try UndeliveredShares(decoding: try kept.encoded())
        let still = try await client.deliver(undelivered, backupKey: backupKey)
        #expect(still.missing.map(\.vault.index) == [5])
        fleet.set(.honest, 5)
        let complete = try await client.deliver(try #require(still.undelivered), backupKey: backupKey)
        #expect(complete.undelivered == nil)
        fleet.set(.down, 1, 2)
        #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
    }

    @Test func `a changed password replaces the old one everywhere, and the old one is wrong then`() async throws {
        let (fleet, client) = try await registered()
        _ = try await client.register(backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
        #expect(fleet.vaults.allSatisfy { $0.with { $0.previous == nil && $0.certificates.count == 1 } })
        #expect(try await recover(client, wrong).backupKey.isEqual(to: backupKey))
        guard case .wrongPassword = try await error(client, password) else {
            Issue.record("the old password still works")
            return
        }
    }

    @Test func `a change that is cut short at any vault leaves a password that works`() async throws {
        for activated in 0...5 {
            let (fleet, client) = try await registered()
            for index in (activated + 1)..<6 where activated < 5 { fleet.set(.neverActivates, index) }
            let change = try? await client.register(
                backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
            let working = activated >= 3 ? wrong : password
            #expect((change != nil) == (activated >= 3))
            #expect(try await recover(client, working).backupKey.isEqual(to: backupKey))
        }
    }

    @Test func `after a change that was cut short, a third registration takes over everywhere`() async throws {
        let third = SecretBytes(copying: Array("third".utf8))
        for activated in [1, 2, 4] {
            let (fleet, client) = try await registered()
            for index in (activated + 1)...5 { fleet.set(.neverActivates, index) }
            _ = try? await client.register(backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
            fleet.set(.honest, 1, 2, 3, 4, 5)
            let last = try await client.register(
                backupKey: backupKey, password: third, argon2: PlainFleet.argon2)
            #expect(last.activated.count == 5)
            #expect(try await recover(client, third).backupKey.isEqual(to: backupKey))
            guard case .wrongPassword = try await error(client, wrong) else {
                Issue.record("the second password still works")
                return
            }
        }
    }

    @Test func `a first registration that was cut short is made again with the same key`() async throws {
        let fleet = try PlainFleet()
        let client = try fleet.client()
        fleet.set(.neverActivates, 3, 4, 5)
        await #expect(throws: EnrolmentError.self) {
            _ = try await client.register(backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
        }
        fleet.set(.honest, 3, 4, 5)
        let enrolment = try await client.register(
            backupKey: backupKey, password: password, argon2: PlainFleet.argon2)
        #expect(enrolment.activated.count == 5)
        #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
    }

    @Test func `a share delivered to a vault that missed a change replaces the old one there`() async throws {
        let (fleet, client) = try await registered()
        fleet.set(.down, 5)
        let changed = try await client.register(
            backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
        fleet.set(.honest, 5)
        let complete = try await client.deliver(try #require(changed.undelivered), backupKey: backupKey)
        #expect(complete.undelivered == nil)
        fleet.set(.down, 1, 2)
        #expect(try await recover(client, wrong).backupKey.isEqual(to: backupKey))
    }

    @Test func `one vault alone is not believed that it is too early or that all is over`() async throws {
        for refusal in [
            Refusal.tooEarly(notBefore: PlainVault.now), .destroyed(at: PlainVault.now),
            .destructionPending(erasedAt: PlainVault.now),
        ] {
            let (fleet, client) = try await registered()
            // Status is honest; Evaluate is refused.
            fleet.set(.refusesToEvaluate(refusal), 1)
            fleet.set(.badProof, 2, 3)
            guard case .tooFewVaults(3, 2, let problems, _) = try await error(client, password) else {
                Issue.record("one vault's word was taken for \(refusal)")
                return
            }
            #expect(problems.count == 3)
        }
    }

    @Test func `a vault that missed the change never brings the old registration back`() async throws {
        let (fleet, client) = try await registered()
        let old = try #require(fleet.vaults[4].with { $0.active })
        _ = try await client.register(backupKey: backupKey, password: wrong, argon2: PlainFleet.argon2)
        // Three that were rolled back: t vaults with the old record, and one with the certificate.
        let donor = try await registered(seed: 1).0
        for index in [0, 1, 4] {
            let share = try #require(donor.vaults[index].with { $0.active })
            fleet.vaults[index].with {
                $0.active = PlainVault.Held(record: old.record, share: share.share)
                $0.certificates = []
            }
        }
        fleet.set(.down, 4)
        guard case .tooFewVaults = try await error(client, password) else {
            Issue.record("a superseded registration was used")
            return
        }
    }

    @Test func `vaults that poison their serials spoil nothing but themselves`() async throws {
        let (fleet, client) = try await registered()
        for serial in [0, 1_000, .max] as [UInt64] {
            // Whatever they are asked, they name another serial; 1,000 is what the honest ones began with.
            fleet.set(.refuses(.staleSerial(current: serial)), 1, 2)
            let honest = fleet.vaults[2...].map { vault in vault.with { $0.serial } }
            let recovered = try await recover(client, password)
            #expect(recovered.backupKey.isEqual(to: backupKey))
            #expect(recovered.problems.map(\.vault.index) == [1, 2])
            #expect(fleet.vaults[2...].map { vault in vault.with { $0.serial } } == honest.map { $0 + 1 })
        }
        #expect(fleet.vaults[2...].allSatisfy { $0.attemptsLeft == 6 })
    }

    @Test func `another key cannot replace the registration`() async throws {
        let (_, client) = try await registered()
        let other = SecretBytes(copying: [UInt8](repeating: 1, count: 32))
        do {
            _ = try await client.register(backupKey: other, password: wrong, argon2: PlainFleet.argon2)
            Issue.record("a stranger replaced it")
        } catch {
            guard case .anotherKeyRegistered(let vaults) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(vaults.count == 5)
        }
        #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
    }

    @Test func `disabling erases it where the key manages it, and can be finished later`() async throws {
        let (fleet, client) = try await registered()
        fleet.set(.down, 2)
        let first = await client.remove(backupKey: backupKey)
        #expect(first.deleted.map(\.index) == [1, 3, 4, 5])
        #expect(first.problems.map(\.vault.index) == [2])
        fleet.set(.honest, 2)
        let second = await client.remove(backupKey: backupKey)
        #expect(second.deleted.map(\.index) == [2])
        #expect(second.absent.count == 4)
        guard case .notRegistered = try await error(client, password) else {
            Issue.record("it was deleted")
            return
        }
    }

    @Test func `without the key nothing is deleted`() async throws {
        let (_, client) = try await registered()
        let removal = await client.remove(backupKey: SecretBytes(copying: [UInt8](repeating: 1, count: 32)))
        #expect(removal.deleted.isEmpty)
        #expect(removal.problems.allSatisfy { $0.problem == .refused(.badSignature) })
        #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
    }

    @Test func `one vault alone works, and ends after ten`() async throws {
        let (_, client) = try await registered(of: 1)
        #expect(try await recover(client, password).backupKey.isEqual(to: backupKey))
        var guesses = 0
        while case .wrongPassword = try await error(client, wrong) { guesses += 1 }
        #expect(guesses == 10)
    }
}
