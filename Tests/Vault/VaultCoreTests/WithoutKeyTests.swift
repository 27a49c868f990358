import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing
import VaultCore

/// Replacement and deletion by somebody who has a sign-in and not the key.
@Suite struct WithoutKeyTests {
    private static let delay: UInt64 = 14 * 24 * 3600

    /// Prepares and asks; the bench must have a registration.
    private func request(_ new: Bench.NewRecord, at bench: Bench) throws -> Reply? {
        bench.run(try bench.prepare(new))
        return bench.run(try bench.activate(new))
    }

    private func allowed(_ bench: Bench, in seconds: UInt64) -> Timestamp {
        Timestamp(unixSeconds: bench.time.seconds + seconds)
    }

    @Test func `a registration is replaced without its key after the delay, and leaves nothing to guess at`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let lost = try bench.register()
        for _ in 0..<3 { bench.run(.evaluate(bench.guess(lost))) }
        let new = try bench.newRegistration()
        let due = allowed(bench, in: Self.delay)
        #expect(try request(new, at: bench) == .waiting(serial: bench.serial, allowed: due))
        let status = try #require(bench.status())
        #expect(status.waiting?.kind == .replacement && status.waiting?.allowed == due)
        #expect(status.held.map(\.role) == [.active, .waiting])
        bench.pass(seconds: Self.delay - 1)
        let early = bench.run(try bench.activate(new))
        #expect(early == .waiting(serial: bench.serial, allowed: due))
        #expect(bench.record.active?.id == lost.id)
        #expect(bench.run(.evaluate(bench.guess(lost))) == nil, "the old one answers until the end")
        bench.pass(seconds: 1)
        #expect(bench.run(try bench.activate(new)) == .activated(serial: bench.serial))
        #expect(bench.record.previous == nil && bench.record.attemptsLeft == 6)
        #expect(bench.run(.evaluate(bench.guess(lost))) == .refused(.unknownRegistration))
        #expect(bench.status()?.changedWithoutKey == Timestamp(unixSeconds: bench.time.seconds))
        #expect(bench.lastStep?.record.history.entries.contains { $0.kind == .replacedWithoutKey } == true)
    }

    @Test func `a registration and a tombstone are deleted without the key after the same delay`() throws {
        for isDestroyed in [false, true] {
            let bench = try Bench()
            bench.policy.waitsSeconds = []
            let lost = try bench.register()
            if isDestroyed {
                for _ in 0..<6 { bench.run(.evaluate(bench.guess(lost))) }
                bench.pass(seconds: 72 * 3600)
                bench.status()
            }
            let due = allowed(bench, in: Self.delay)
            #expect(bench.run(bench.requestDeletion(lost)) == .waiting(serial: bench.serial, allowed: due))
            bench.pass(seconds: Self.delay - 1)
            #expect(bench.run(bench.requestDeletion(lost)) == .waiting(serial: bench.serial, allowed: due))
            bench.pass(seconds: 1)
            #expect(bench.run(bench.requestDeletion(lost)) == .deleted(serial: bench.serial))
            #expect(bench.status()?.state == .notRegistered && bench.status()?.ended == nil)
            _ = try bench.register()
            #expect(bench.status()?.state == .active)
        }
    }

    @Test func `a tombstone is replaced at once by its key, and without it after the delay`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let lost = try bench.register()
        // Asked for before the destruction: burning the registration does not call it off.
        let new = try bench.newRegistration()
        _ = try request(new, at: bench)
        for _ in 0..<6 { bench.run(.evaluate(bench.guess(lost))) }
        bench.pass(seconds: 72 * 3600)
        guard case .destroyed = bench.status()?.state else {
            Issue.record("not destroyed")
            return
        }
        #expect(bench.status()?.waiting != nil)
        bench.pass(seconds: Self.delay)
        #expect(bench.run(try bench.activate(new)) == .activated(serial: bench.serial))
    }

    @Test func `any signed contact by the old key calls a request off`() throws {
        let contacts: [(Bench, Bench.NewRecord) throws -> Command] = [
            { try $0.history($1) },
            { try $0.confirm([$0.guess($1).receipt], of: $1) },
            { try $0.forgive([$0.guess($1).attemptID], of: $1) },
            { try $0.prepare(try $0.newRegistration(), replacing: $1) },
        ]
        for contact in contacts {
            let bench = try Bench()
            let owner = try bench.register()
            let thief = try bench.newRegistration()
            _ = try request(thief, at: bench)
            bench.pass(seconds: Self.delay - 1)
            bench.run(try contact(bench, owner))
            #expect(bench.status()?.waiting == nil)
            bench.pass(seconds: Self.delay)
            #expect(bench.run(try bench.activate(thief)) == .refused(.notPrepared))
            #expect(bench.record.active?.id == owner.id)
            let entries = try bench.entries(owner)
            #expect(entries.contains { $0.kind == .replacementRequested })
            #expect(entries.contains { $0.kind == .cancelled })
        }
    }

    @Test func `a clock set forward brings no replacement nearer`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let thief = try bench.newRegistration()
        _ = try request(thief, at: bench)
        bench.time.seconds += 400 * 24 * 3600
        guard case .waiting(_, let allowed) = bench.run(try bench.activate(thief)) else {
            Issue.record("replaced by the wall clock")
            return
        }
        #expect(allowed == self.allowed(bench, in: Self.delay), "the whole delay is still ahead")
        bench.run(bench.requestDeletion(owner))
        #expect(bench.record.active?.id == owner.id)
    }

    @Test func `the message that asked does not make the change when it is repeated after the delay`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let thief = try bench.newRegistration()
        bench.run(try bench.prepare(thief))
        let activate = try bench.activate(thief)
        bench.run(activate)
        bench.pass(seconds: Self.delay)
        #expect(bench.run(activate) == .refused(.staleSerial(current: bench.serial)))
        bench.run(try bench.history(owner))
        let deletion = bench.requestDeletion(owner)
        bench.run(deletion)
        bench.pass(seconds: Self.delay)
        #expect(bench.run(deletion) == .refused(.staleSerial(current: bench.serial)))
        #expect(bench.record.active?.id == owner.id)
    }

    @Test func `the first request keeps its place, lapses, and frees it`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let first = try bench.newRegistration()
        _ = try request(first, at: bench)
        let due = allowed(bench, in: Self.delay)
        let second = try bench.newRegistration()
        #expect(try request(second, at: bench) == .refused(.changeWaiting(allowed: due)))
        #expect(bench.run(bench.requestDeletion(owner)) == .refused(.changeWaiting(allowed: due)))
        bench.pass(seconds: 2 * Self.delay - 1)
        #expect(bench.status()?.waiting != nil)
        #expect(bench.record.dueSeconds(at: bench.time) == bench.time.seconds + 1)
        bench.pass(seconds: 1)
        #expect(bench.status()?.waiting == nil)
        #expect(bench.lastStep?.erasesSecrets == true)
        guard case .waiting = try request(second, at: bench) else {
            Issue.record("the place is not free")
            return
        }
    }

    @Test func `a tenant may forbid it`() throws {
        let bench = try Bench()
        bench.policy.replacementDelaySeconds = nil
        let owner = try bench.register()
        #expect(try request(try bench.newRegistration(), at: bench) == .refused(.oldKeyNeeded))
        #expect(bench.run(bench.requestDeletion(owner)) == .refused(.oldKeyNeeded))
    }

    @Test func `an account thief who races every step starves no owner`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        /// What a thief can do with a sign-in alone, right before each message of the owner arrives.
        func race() throws {
            let junk = try bench.newRegistration()
            bench.run(try bench.prepare(junk))
            bench.run(try bench.activate(junk))
            bench.run(bench.requestDeletion(owner))
        }
        /// As the client does it: signed once more with the serial that the vault names.
        func send(_ make: (UInt64) throws -> Command) throws -> Reply? {
            let serial = bench.serial
            try race()
            let reply = bench.run(try make(serial))
            guard case .refused(.staleSerial(let current)) = reply else { return reply }
            try race()
            return bench.run(try make(current))
        }
        let guess = bench.guess(owner)
        #expect(
            try send { serial in
                .evaluate(
                    EvaluateRequest(
                        serial: serial, registrationID: owner.id, attemptID: guess.attemptID,
                        blindedElement: guess.blindedElement))
            } == nil)
        #expect(
            try send { try bench.confirm([guess.receipt], of: owner, serial: $0) }
                == .confirmed(serial: bench.serial, attemptsLeft: 6))
        let next = try bench.newRegistration()
        #expect(
            try send { try bench.prepare(next, serial: $0, replacing: owner) } == .prepared(serial: bench.serial))
        #expect(
            try send { try bench.activate(next, serial: $0, replacing: owner) } == .activated(serial: bench.serial))
        #expect(bench.record.active?.id == next.id)
    }

    @Test func `Confirm held back gives back its own attempts and no other, or nothing once the account has moved on`()
        throws
    {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        let mine = bench.guess(owner)
        bench.run(.evaluate(mine))
        let held = try bench.confirm([mine.receipt], of: owner)
        for _ in 0..<5 { bench.run(.evaluate(bench.guess(owner))) }
        #expect(bench.record.attemptsLeft == 0)
        #expect(bench.run(held) == .confirmed(serial: bench.serial, attemptsLeft: 1))
        bench.run(.evaluate(mine))
        let later = try bench.confirm([mine.receipt], of: owner)
        let next = try bench.register(replacing: owner)
        bench.run(.evaluate(bench.guess(next)))
        let left = bench.record.attemptsLeft
        #expect(bench.run(later) == .refused(.staleSerial(current: bench.serial)))
        #expect(bench.record.attemptsLeft == left)
    }

    @Test func `junk under the owner's pending id, requested without the key, neither takes its place nor its name`()
        throws
    {
        let bench = try Bench()
        let owner = try bench.register()
        let next = try bench.newRegistration()
        bench.run(try bench.prepare(next, replacing: owner))
        let stranger = try bench.newRegistration()
        let header = next.record.header
        let junkHeader = try RecordHeader(
            fleetID: header.fleetID, fleetVersion: header.fleetVersion, name: header.name,
            registrationID: header.registrationID, threshold: header.threshold, holders: header.holders,
            argon2: header.argon2, managementKey: stranger.key.verifyingKey)
        let record = PublicRecord(header: junkHeader, envelope: stranger.record.envelope)
        let junk = Bench.NewRecord(
            record: record, hash: try record.recordHash(), shares: next.shares, key: stranger.key)
        bench.run(try bench.prepare(junk))
        guard case .waiting = bench.run(try bench.activate(junk)) else {
            Issue.record("junk did not wait")
            return
        }
        #expect(bench.run(try bench.activate(next, replacing: owner)) == .activated(serial: bench.serial))
        #expect(bench.record.active?.recordHash == next.hash && bench.record.requestedChange == nil)
    }

    @Test func `a thousand lost acknowledgements mint nothing`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        let guesses = (0..<2).map { _ in bench.guess(owner) }
        for guess in guesses { bench.run(.evaluate(guess)) }
        let thief = try bench.newRegistration()
        let prepare = try bench.prepare(thief)
        bench.run(prepare)
        let activate = try bench.activate(thief)
        bench.run(activate)
        let deletion = bench.requestDeletion(owner)
        let confirm = try bench.confirm([guesses[0].receipt], of: owner)
        bench.run(confirm)
        let settled = bench.record
        for _ in 0..<1000 {
            for command in [.evaluate(guesses[1]), prepare, activate, deletion, confirm] { bench.run(command) }
        }
        #expect(bench.record == settled)
        #expect(settled.attemptsLeft == 5)
    }
}

@Suite struct FrozenTests {
    private func frozen() throws -> (bench: Bench, owner: Bench.NewRecord, guess: EvaluateRequest) {
        let bench = try Bench()
        let owner = try bench.register()
        let guess = bench.guess(owner)
        bench.run(.evaluate(guess))
        bench.record.freeze(nonce: bench.nonce(), batchesMissed: 9, drawn: 0)
        return (bench, owner, guess)
    }

    @Test func `a restored record answers no attempt, not even a repeat, until its key thaws it`() throws {
        let (bench, owner, guess) = try frozen()
        let nonce = try #require(bench.status()?.frozen)
        #expect(bench.run(.evaluate(bench.guess(owner))) == .refused(.frozen))
        #expect(bench.run(.evaluate(guess)) == .refused(.frozen))
        let stranger = try bench.newRegistration()
        let forged = Bench.NewRecord(record: owner.record, hash: owner.hash, shares: owner.shares, key: stranger.key)
        #expect(bench.run(try bench.thaw(nonce, of: forged)) == .refused(.badSignature))
        #expect(bench.run(try bench.thaw(bench.nonce(), of: owner)) == .refused(.badSignature), "another nonce")
        let thaw = try bench.thaw(nonce, of: owner)
        #expect(bench.run(thaw) == .thawed(serial: bench.serial))
        #expect(bench.run(.evaluate(bench.guess(owner))) == nil)
        // The next restore draws another nonce: what thawed this one does not thaw that.
        bench.record.freeze(nonce: bench.nonce(), batchesMissed: 9, drawn: 0)
        #expect(bench.run(thaw) == .refused(.staleSerial(current: bench.serial)))
        #expect(bench.status()?.frozen != nil)
    }

    @Test func `no other signed message thaws a restored record or works on it, and the serial passes all given out`()
        throws
    {
        let (bench, owner, guess) = try frozen()
        let next = try bench.newRegistration()
        for command in [
            try bench.confirm([guess.receipt], of: owner), try bench.history(owner),
            try bench.forgive([guess.attemptID], of: owner), try bench.delete(owner),
            try bench.prepare(next, replacing: owner),
        ] {
            #expect(bench.run(command) == .refused(.frozen))
        }
        #expect(bench.run(.retire(try bench.certificate(owner, next))) == .refused(.frozen))
        #expect(bench.serial > 9 << 16)
        #expect(bench.record.attemptsLeft == 5)
    }

    @Test func `whoever lost the key of a restored registration replaces it after the delay`() throws {
        let (bench, _, _) = try frozen()
        let new = try bench.newRegistration()
        bench.run(try bench.prepare(new))
        bench.run(try bench.activate(new))
        bench.pass(seconds: 14 * 24 * 3600)
        #expect(bench.run(try bench.activate(new)) == .activated(serial: bench.serial))
        #expect(bench.run(.evaluate(bench.guess(new))) == nil)
    }
}
