import Primitives
import RecoveryProtocol
import Testing
import VaultCore

@Suite struct AttemptTests {
    @Test func `the budget is what the fleet promises, unless the tenant sets one`() throws {
        let bench = try Bench()
        _ = try bench.register()
        #expect(bench.status()?.attemptsLeft == 6)  // ⌊10·2/3⌋
        let other = try Bench()
        other.policy.budget = 3
        _ = try other.register()
        #expect(other.status()?.attemptsLeft == 3)
    }

    @Test func `waits grow towards the end of the budget, and waiting costs nothing`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        for _ in 0..<2 { #expect(bench.run(.evaluate(bench.guess(registration))) == nil) }
        // Four left: none. Three left: 15 minutes. Two: 4 hours. One: a day.
        #expect(bench.run(.evaluate(bench.guess(registration))) == nil)
        for (left, wait) in [(3, 900), (2, 4 * 3600), (1, 24 * 3600)] as [(UInt8, UInt64)] {
            let status = try #require(bench.status())
            #expect(status.attemptsLeft == left)
            let time = Timestamp(unixSeconds: bench.time.seconds + wait)
            #expect(status.notBefore == time)
            bench.pass(seconds: wait - 1)
            #expect(bench.run(.evaluate(bench.guess(registration))) == .refused(.tooEarly(notBefore: time)))
            #expect(bench.record.attemptsLeft == Int(left))
            bench.pass(seconds: 1)
            #expect(bench.status()?.notBefore == Timestamp(unixSeconds: 0))
            #expect(bench.run(.evaluate(bench.guess(registration))) == nil)
        }
        #expect(bench.record.attemptsLeft == 0)
    }

    @Test func `a stale serial is refused, and told the present one`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        for serial in [0, bench.serial - 1, bench.serial + 1, .max] {
            #expect(
                bench.run(.evaluate(bench.guess(registration, serial: serial)))
                    == .refused(.staleSerial(current: bench.serial)))
        }
        #expect(bench.record.attemptsLeft == 6)
    }

    @Test func `a charge leaves the serial alone, so a thief does not starve the owner`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        let serial = bench.serial
        bench.run(.evaluate(bench.guess(registration)))
        #expect(bench.serial == serial)
    }

    @Test func `Confirm gives back the attempts that it lists and no stranger's`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        let mine = bench.guess(registration)
        let stranger = bench.guess(registration)
        bench.run(.evaluate(mine))
        bench.run(.evaluate(stranger))
        let serial = bench.serial
        #expect(
            bench.run(try bench.confirm([mine.receipt], of: registration))
                == .confirmed(serial: serial + 1, attemptsLeft: 5))
        #expect(bench.record.charges.map(\.receipt) == [stranger.receipt])
        // What was given back cannot be asked for again under the old serial: it would be a free guess's twin.
        #expect(bench.run(.evaluate(mine)) == .refused(.staleSerial(current: serial + 1)))
    }

    @Test func `Confirm counts once, for this vault, this registration and this key alone`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        let guess = bench.guess(registration)
        bench.run(.evaluate(guess))
        let good = try bench.confirm([guess.receipt], of: registration)
        guard case .confirm(let request) = good else { return }
        let forged = ConfirmRequest(
            serial: request.serial, registrationID: request.registrationID,
            receipts: [guess.receipt, bench.guess(registration).receipt], signature: request.signature)
        #expect(bench.run(.confirm(forged)) == .refused(.badSignature))
        let elsewhere = SigningContext(
            fleetID: bench.fleet.id, vaultID: bench.fleet.vaults[0].id, name: bench.name, serial: bench.serial)
        let forwarded = ConfirmRequest(
            serial: bench.serial, registrationID: registration.id, receipts: [guess.receipt],
            signature: registration.key.sign(
                try SignedBytes.confirm(elsewhere, registrationID: registration.id, receipts: [guess.receipt])))
        #expect(bench.run(.confirm(forwarded)) == .refused(.badSignature))
        #expect(bench.record.attemptsLeft == 5)
        #expect(bench.run(good) == .confirmed(serial: request.serial + 1, attemptsLeft: 6))
        bench.run(.evaluate(bench.guess(registration)))
        #expect(bench.run(good) == .refused(.staleSerial(current: bench.serial)))
        #expect(bench.record.attemptsLeft == 5)
    }

    @Test func `on the last attempt repeats and Confirm still count, and nothing else does`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let registration = try bench.register()
        let guesses = (0..<6).map { _ in bench.guess(registration) }
        for guess in guesses { #expect(bench.run(.evaluate(guess)) == nil) }
        let end = Timestamp(unixSeconds: bench.time.seconds + 72 * 3600)
        #expect(bench.status()?.state == .destructionPending(erasedAt: end))
        #expect(bench.run(.evaluate(bench.guess(registration))) == .refused(.destructionPending(erasedAt: end)))
        for guess in guesses { #expect(bench.run(.evaluate(guess)) == nil) }
        bench.pass(seconds: 72 * 3600 - 1)
        #expect(bench.run(.evaluate(guesses[5])) == nil)
        #expect(
            bench.run(try bench.confirm([guesses[5].receipt], of: registration))
                == .confirmed(serial: bench.serial, attemptsLeft: 1))
        bench.pass(seconds: 100 * 3600)
        #expect(bench.status()?.state == .active)
    }

    @Test func `destruction erases every share, keeps the serial rising, and lets nobody in without the old key`()
        throws
    {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        bench.policy.replacementDelaySeconds = nil
        let first = try bench.register()
        let second = try bench.register(replacing: first)
        bench.run(try bench.prepare(try bench.newRegistration()))
        for _ in 0..<6 { bench.run(.evaluate(bench.guess(second))) }
        let serial = bench.serial
        bench.pass(seconds: 72 * 3600)
        let status = try #require(bench.status())
        #expect(status.state == .destroyed(at: Timestamp(unixSeconds: bench.time.seconds)))
        #expect(status.held.isEmpty && status.record == nil && status.attemptsLeft == 0)
        #expect(bench.serial == serial + 1)
        #expect(bench.lastStep?.erasesSecrets == true)
        #expect(
            bench.run(.evaluate(bench.guess(second)))
                == .refused(.destroyed(at: Timestamp(unixSeconds: bench.time.seconds))))

        let stranger = try bench.newRegistration()
        bench.run(try bench.prepare(stranger))
        #expect(bench.run(try bench.activate(stranger)) == .refused(.oldKeyNeeded))
        #expect(bench.run(try bench.activate(stranger, replacing: first)) == .refused(.badSignature))
        let owner = try bench.newRegistration()
        bench.run(try bench.prepare(owner, replacing: second))
        #expect(bench.run(try bench.activate(owner, replacing: second)) == .activated(serial: bench.serial))
        #expect(bench.status()?.state == .active)
    }

    @Test func `an open circuit breaker or too many requests refuse new attempts and answer repeats`() throws {
        let bench = try Bench()
        let registration = try bench.register()
        let guess = bench.guess(registration)
        bench.run(.evaluate(guess))
        bench.isSuspended = true
        #expect(bench.run(.evaluate(bench.guess(registration))) == .refused(.suspended))
        #expect(bench.run(.evaluate(guess)) == nil)
        bench.isSuspended = false
        bench.isOverRate = true
        #expect(bench.run(.evaluate(bench.guess(registration))) == .refused(.busy(retryAfterSeconds: 60)))
        #expect(bench.run(.evaluate(guess)) == nil)
        #expect(bench.record.attemptsLeft == 5)
    }
}
