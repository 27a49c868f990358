import ByteCoding
import Coffer
import Primitives
import RecoveryProtocol
import Testing
import VaultCore

/// What somebody with a person's sign-in, and without the key, does; five real vaults, and what the owner sees of it.
@Suite struct `Account thief` {
    private static let day: UInt64 = 24 * 3600
    private static let delay: UInt64 = 14 * day
    let ownersKey = SecretBytes(copying: [UInt8](repeating: 0x4b, count: 32))
    let thiefsKey = SecretBytes(copying: [UInt8](repeating: 0x74, count: 32))
    let right = SecretBytes(copying: Array("correct horse".utf8))
    let wrong = SecretBytes(copying: Array("correct house".utf8))
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    private func register(
        _ client: FleetClient, _ key: SecretBytes, _ password: SecretBytes, withoutOldKey: Bool = false
    ) async throws -> Enrolment {
        try await client.register(
            backupKey: key, password: password, argon2: Self.argon2, withoutOldKey: withoutOldKey)
    }

    private func guess(_ client: FleetClient, _ password: SecretBytes) async throws -> Recovery {
        var entry: PasswordEntry?
        return try await client.recover(password: password, entry: &entry)
    }

    @Test func `guesses show in the owner's history, and the owner's own mistakes do not once they got it right`()
        async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, ownersKey, right)
        for _ in 0..<2 { _ = try? await guess(client, wrong) }
        _ = try await guess(client, right)
        let history = await client.history(backupKey: ownersKey)
        #expect(history.failed.map(\.passwords) == [2], "the right password's attempt was confirmed")
        #expect(history.failed.first?.first == Timestamp(unixSeconds: RealFleet.start))
        #expect(history.charged.map(\.vaults.count) == [3, 3])
        #expect(history.problems.isEmpty)
        // The person says that they were their own.
        let (forgiven, problems) = await client.forgive(
            history.charged.map(\.attemptID), backupKey: ownersKey, history: history)
        #expect(forgiven.count == 5 && problems.isEmpty)
        #expect(await client.status().attemptsLeft == 10)
        #expect(await client.history(backupKey: ownersKey).failed.isEmpty)
    }

    @Test func `who knows the password is not who holds the key: the history is the key's alone`() async throws {
        let fleet = try await RealFleet()
        _ = try await register(try fleet.client(), ownersKey, right)
        let thief = try await fleet.client().history(backupKey: thiefsKey)
        #expect(thief.answered.isEmpty && thief.foreign.count == 5)
    }

    @Test func `a registration without the old key waits, and the owner's daily look calls it off`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, ownersKey, right)
        do {
            _ = try await register(client, thiefsKey, wrong)
            Issue.record("replaced, or asked for without being told to")
        } catch {
            guard case .anotherKeyRegistered(let vaults) = error as? EnrolmentError else {
                Issue.record("\(error)")
                return
            }
            #expect(vaults.count == 5)
        }
        #expect(await client.status().answered.allSatisfy { $0.reply.waiting == nil })
        let thief = try await register(client, thiefsKey, wrong, withoutOldKey: true)
        #expect(thief.activated.isEmpty)
        #expect(thief.waitsUntil == Timestamp(unixSeconds: RealFleet.start + Self.delay))
        let shares = try #require(thief.undelivered)
        for _ in 0..<13 {
            fleet.clock.pass(seconds: Self.day)
            #expect(try await guess(client, right).backupKey.isEqual(to: ownersKey))
        }
        // Confirm was signed contact already; the daily look is too.
        let history = await client.history(backupKey: ownersKey)
        #expect(history.latest(.replacementRequested) != nil && history.latest(.cancelled) != nil)
        fleet.clock.pass(seconds: 2 * Self.day)
        let late = try? await client.deliver(shares, backupKey: thiefsKey)
        #expect(late?.activated.isEmpty != false)
        #expect(try await guess(client, right).backupKey.isEqual(to: ownersKey))
    }

    @Test func `a lost key is replaced after the delay, without the password, also where a vault was down`()
        async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, ownersKey, right)
        fleet.takeDown(2)
        let asked = try await register(client, thiefsKey, wrong, withoutOldKey: true)
        #expect(asked.waitsUntil != nil && asked.missing.count == 5)
        fleet.takeDown()
        fleet.clock.pass(seconds: Self.delay / 2)
        let half = try await client.deliver(try #require(asked.undelivered), backupKey: thiefsKey)
        #expect(half.activated.isEmpty && half.missing.count == 5)
        fleet.clock.pass(seconds: Self.delay / 2)
        let most = try await client.deliver(try #require(half.undelivered), backupKey: thiefsKey)
        #expect(most.activated.count == 4, "the fourth of them was asked later, and has its whole delay")
        #expect(try await guess(client, wrong).backupKey.isEqual(to: thiefsKey))
        fleet.clock.pass(seconds: Self.delay / 2)
        let all = try await client.deliver(try #require(most.undelivered), backupKey: thiefsKey)
        #expect(all.activated.count == 5 && all.undelivered == nil)
        // Who held the old key is told that it was replaced, and when, instead of "wrong password".
        let owner = await client.history(backupKey: ownersKey)
        #expect(owner.foreign.count == 5)
        #expect(owner.foreign.allSatisfy { $0.since.unixSeconds >= RealFleet.start + Self.delay })
    }

    @Test func `burning to destruction takes longer than a day, and the owner's daily device saves the key`()
        async throws
    {
        let policy = TenantPolicy()
        let budget = 6
        #expect(policy.secondsToLastAttempt(budget: budget) == 15 * 60 + 4 * 3600 + Self.day)
        #expect(policy.secondsToDestruction(budget: budget) == 15 * 60 + 4 * 3600 + 4 * Self.day)
        for hour in [1, 6, 12, 18, 24] as [UInt64] {
            let fleet = try await RealFleet(waits: policy.waitsSeconds)
            let client = try fleet.client()
            _ = try await register(client, ownersKey, right)
            // Never resting, from the first guess until the owner's device looks, `hour` hours later.
            let end = RealFleet.start + hour * 3600
            while fleet.clock.now.wallSeconds < end {
                do { _ = try await guess(client, wrong) } catch RecoveryError.wrongPassword {
                } catch RecoveryError.tooEarly(let until) {
                    fleet.clock.pass(seconds: max(min(until.unixSeconds, end) - fleet.clock.now.wallSeconds, 1))
                }
            }
            let history = await client.history(backupKey: ownersKey)
            #expect(history.failed.reduce(0) { $0 + $1.passwords } >= 5, "after \(hour) h")
            #expect(await client.status().attemptsLeft > 0, "after \(hour) h")
            // Told so, the owner chooses a new password, and the thief begins anew.
            #expect(try await register(client, ownersKey, wrong).activated.count == 5)
            #expect(await client.status().attemptsLeft == 10)
        }
    }

    @Test func `vaults that came back from a backup answer nobody until a device with the key was there`() async throws
    {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, ownersKey, right)
        try fleet.freeze(1, 2, 3)
        await #expect(throws: RecoveryError.self) { _ = try await guess(client, right) }
        #expect(await client.history(backupKey: thiefsKey).answered.isEmpty)
        #expect(await client.status().answered.count { $0.reply.frozen != nil } == 3)
        #expect(await client.history(backupKey: ownersKey).answered.count == 5)
        #expect(await client.status().answered.allSatisfy { $0.reply.frozen == nil })
        fleet.takeDown(4, 5)
        #expect(try await guess(client, right).backupKey.isEqual(to: ownersKey))
    }

    @Test func `Confirm held back on the way gives back nothing later`() async throws {
        let fleet = try await RealFleet()
        let client = try fleet.client()
        _ = try await register(client, ownersKey, right)
        // Five Status replies and three evaluations come through; every Confirm is lost with its second try.
        fleet.loseReplies(10, after: 8)
        let recovered = try await guess(client, right)
        #expect(recovered.backupKey.isEqual(to: ownersKey))
        fleet.loseReplies(0)
        // The vaults did what the lost replies said, once.
        #expect(await client.status().attemptsLeft == 10)
        #expect(await client.history(backupKey: ownersKey).failed.isEmpty)
    }
}
