import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing
import VaultCore

@Suite struct RegistrationTests {
    @Test func `an account that nobody registered shows nothing and refuses guesses`() throws {
        let bench = try Bench()
        let stranger = try bench.newRegistration()
        let status = try #require(bench.status())
        #expect(status.state == .notRegistered && status.held.isEmpty && status.record == nil)
        #expect(status.serial == 1000)
        #expect(bench.run(.evaluate(bench.guess(stranger))) == .refused(.notRegistered))
        #expect(bench.run(try bench.delete(stranger)) == .refused(.notRegistered))
        #expect(bench.run(.retire(try bench.certificate(stranger, stranger))) == .refused(.notRegistered))
    }

    @Test func `a prepared registration answers nothing until it is activated`() throws {
        let bench = try Bench()
        let new = try bench.newRegistration()
        #expect(bench.run(try bench.prepare(new)) == .prepared(serial: 1000))
        #expect(bench.status()?.state == .notRegistered)
        #expect(bench.run(.evaluate(bench.guess(new))) == .refused(.notRegistered))
        #expect(bench.run(try bench.activate(new)) == .activated(serial: 1001))
        #expect(bench.status()?.held == [HeldRecord(role: .active, registrationID: new.id, recordHash: new.hash)])
        #expect(bench.run(.evaluate(bench.guess(new))) == nil)
    }

    @Test func `a share that is not the record's is refused before the ledger sees it`() throws {
        let bench = try Bench()
        let new = try bench.newRegistration()
        let other = try bench.newRegistration()
        let swapped = PrepareRequest(serial: 1000, record: new.record, share: other.shares[1])
        #expect(throws: Refused(.badShare)) { try CheckedPrepare(swapped, at: bench.vaultID) }
        let right = PrepareRequest(serial: 1000, record: new.record, share: new.shares[1])
        #expect(throws: Refused(.badShare)) { try CheckedPrepare(right, at: bench.fleet.vaults[0].id) }
    }

    @Test func `a record of another fleet, another account or a cheap Argon2id is refused`() throws {
        let bench = try Bench()
        let stranger = try Bench(seed: 2)
        let foreign = try stranger.newRegistration()
        let request = PrepareRequest(serial: 1000, record: foreign.record, share: foreign.shares[1])
        let command = Command.prepare(try CheckedPrepare(request, at: stranger.vaultID))
        #expect(bench.run(command) == .refused(.fleetMismatch(vaultVersion: 1)))
        let bob = try bench.newRegistration(name: AccountName(tenant: "chat", account: "bob"))
        #expect(bench.run(try bench.prepare(bob)) == .refused(.unauthorised))
        let cheap = try bench.newRegistration(argon2: Argon2Parameters(memoryKiB: 19 * 1024 - 1, passes: 3))
        #expect(bench.run(try bench.prepare(cheap)) == .refused(.policyRefused(.argon2TooCheap)))
        #expect(bench.record == AccountRecord(serial: 1000))
    }

    @Test func `junk prepared under the same id is not what is activated`() throws {
        let bench = try Bench()
        let good = try bench.newRegistration()
        bench.run(try bench.prepare(good))
        let junk = PublicRecord(
            header: good.record.header,
            envelope: try Envelope(
                commitment: [UInt8](repeating: 0, count: 32), ciphertext: [UInt8](repeating: 0, count: 48)))
        bench.run(
            .prepare(
                try CheckedPrepare(PrepareRequest(serial: 1000, record: junk, share: good.shares[1]), at: bench.vaultID)
            ))
        #expect(bench.run(try bench.activate(good)) == .refused(.notPrepared))
        bench.run(try bench.prepare(good))
        #expect(bench.run(try bench.activate(good)) == .activated(serial: 1001))
        #expect(bench.record.active?.recordHash == good.hash)
    }

    @Test func `a stranger with a token can neither replace nor displace the owner's registration`() throws {
        let bench = try Bench()
        bench.policy.replacementDelaySeconds = nil
        let owner = try bench.register()
        let next = try bench.newRegistration()
        #expect(bench.run(try bench.prepare(next, replacing: owner)) == .prepared(serial: 1002))
        let stranger = try bench.newRegistration()
        #expect(bench.run(try bench.prepare(stranger)) == .prepared(serial: 1002))
        #expect(bench.record.pendingSigned?.registration.recordHash == next.hash)
        #expect(bench.run(try bench.activate(stranger)) == .refused(.oldKeyNeeded))
        #expect(bench.run(try bench.activate(stranger, replacing: stranger)) == .refused(.unknownRegistration))
        let forged = Bench.NewRecord(record: owner.record, hash: owner.hash, shares: owner.shares, key: stranger.key)
        #expect(bench.run(try bench.activate(stranger, replacing: forged)) == .refused(.badSignature))
        #expect(bench.run(try bench.prepare(try bench.newRegistration(), replacing: forged)) == .refused(.badSignature))
        #expect(
            bench.run(try bench.activate(next, replacing: owner, signedBy: stranger.key)) == .refused(.badSignature))
        #expect(bench.run(try bench.activate(next, replacing: owner)) == .activated(serial: 1003))
    }

    @Test func `what was prepared and not activated is erased after a day`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let signed = try bench.newRegistration()
        bench.run(try bench.prepare(signed, replacing: owner))
        let unsigned = try bench.newRegistration()
        bench.run(try bench.prepare(unsigned))
        #expect(bench.record.dueSeconds(at: bench.time) == bench.time.seconds + 24 * 3600)
        bench.pass(seconds: 24 * 3600 - 1)
        #expect(bench.status()?.held.count == 3)
        bench.pass(seconds: 1)
        #expect(bench.status()?.held.count == 1)
        #expect(bench.lastStep?.erasesSecrets == true)
        #expect(bench.run(try bench.activate(signed, replacing: owner)) == .refused(.notPrepared))
        #expect(bench.record.dueSeconds(at: bench.time) == nil)
    }

    @Test func `activation by the old key resets the count, and both registrations share it until Retire`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let old = try bench.register()
        for _ in 0..<5 { bench.run(.evaluate(bench.guess(old))) }
        let new = try bench.register(replacing: old)
        #expect(bench.record.attemptsLeft == 6)
        for registration in [old, new, old] { #expect(bench.run(.evaluate(bench.guess(registration))) == nil) }
        #expect(bench.record.attemptsLeft == 3)
        let serial = bench.serial
        #expect(bench.run(.retire(try bench.certificate(old, new))) == .retired(serial: serial + 1))
        #expect(bench.lastStep?.erasesSecrets == true)
        #expect(bench.record.attemptsLeft == 3, "what was guessed at the old one stays charged")
        #expect(bench.run(.evaluate(bench.guess(old))) == .refused(.unknownRegistration))
        #expect(bench.run(.evaluate(bench.guess(new))) == nil)
        #expect(bench.status()?.certificates == [try bench.certificate(old, new)])
    }

    @Test func `Retire needs both keys, and a certificate seen again changes nothing`() throws {
        let bench = try Bench()
        let old = try bench.register()
        let new = try bench.register(replacing: old)
        let stranger = try bench.newRegistration()
        let good = try bench.certificate(old, new)
        for (oldSignature, newSignature) in [
            (stranger.key.sign([1]), good.newSignature), (good.oldSignature, stranger.key.sign([1])),
        ] {
            let forged = SuccessionCertificate(
                oldRegistrationID: old.id, newRecordHash: new.hash, newManagementKey: new.key.verifyingKey,
                oldSignature: oldSignature, newSignature: newSignature)
            #expect(bench.run(.retire(forged)) == .refused(.badSignature))
        }
        let foreign = try bench.certificate(stranger, new)
        #expect(bench.run(.retire(foreign)) == .refused(.unknownRegistration))
        bench.run(.retire(good))
        let after = bench.record
        #expect(bench.run(.retire(good)) == .retired(serial: after.serial))
        #expect(bench.record == after)
    }

    @Test func `a Retire whose key signs for itself has one effect, and no second one undoes it`() throws {
        let bench = try Bench()
        let old = try bench.register()
        let certificates = try (0..<2).map { _ in
            let other = try bench.newRegistration()
            return try bench.certificate(
                old, Bench.NewRecord(record: other.record, hash: other.hash, shares: other.shares, key: old.key))
        }
        #expect(bench.run(.retire(certificates[0])) == .retired(serial: bench.serial))
        let after = bench.record
        #expect(bench.run(.retire(certificates[1])) == .refused(.notRegistered))
        #expect(bench.run(.retire(certificates[0])) == .retired(serial: after.serial))
        #expect(bench.record == after)
    }

    @Test func `a vault that missed the change learns of it from the certificate, and takes only the successor`() throws
    {
        let bench = try Bench()
        bench.policy.replacementDelaySeconds = nil
        let old = try bench.register()
        let new = try bench.newRegistration()
        let certificate = try bench.certificate(old, new)
        #expect(bench.run(.retire(certificate)) == .retired(serial: bench.serial))
        #expect(bench.status()?.state == .notRegistered)
        #expect(bench.record.active == nil && bench.lastStep?.record.certificates == [certificate])
        #expect(bench.run(.evaluate(bench.guess(old))) == .refused(.notRegistered))
        let stranger = try bench.newRegistration()
        bench.run(try bench.prepare(stranger))
        #expect(bench.run(try bench.activate(stranger)) == .refused(.oldKeyNeeded))
        bench.run(try bench.prepare(new))
        #expect(bench.run(try bench.activate(new)) == .activated(serial: bench.serial))
    }

    @Test func `Delete needs the management key, erases everything and keeps the serial rising`() throws {
        let bench = try Bench()
        let first = try bench.register()
        let second = try bench.register(replacing: first)
        let serial = bench.serial
        #expect(bench.run(try bench.delete(first)) == .refused(.unknownRegistration))
        let forged = Bench.NewRecord(
            record: second.record, hash: second.hash, shares: second.shares, key: first.key)
        #expect(bench.run(try bench.delete(forged)) == .refused(.badSignature))
        let delete = try bench.delete(second)
        #expect(bench.run(delete) == .deleted(serial: serial + 1))
        #expect(bench.lastStep?.erasesSecrets == true)
        #expect(bench.record == AccountRecord(serial: serial + 1))
        #expect(bench.run(delete) == .refused(.notRegistered))
        _ = try bench.register()
        #expect(bench.status()?.state == .active)
        #expect(bench.serial > serial + 1)
    }

    @Test func `a signed message under another serial is refused and told the present one`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let next = try bench.newRegistration()
        bench.run(try bench.prepare(next, replacing: owner))
        let before = bench.record
        for serial in [0, bench.serial - 1, bench.serial + 1] {
            for command in [
                try bench.prepare(try bench.newRegistration(), serial: serial, replacing: owner),
                try bench.prepare(try bench.newRegistration(), serial: serial),
                try bench.activate(next, serial: serial, replacing: owner),
                try bench.confirm([bench.guess(owner).receipt], of: owner, serial: serial),
                try bench.delete(owner, serial: serial),
            ] {
                #expect(bench.run(command) == .refused(.staleSerial(current: before.serial)))
                #expect(bench.record == before)
            }
        }
    }

    @Test func `Prepare and Activate whose replies were lost are answered again and change nothing`() throws {
        let bench = try Bench()
        let new = try bench.newRegistration()
        let prepare = try bench.prepare(new)
        #expect(bench.run(prepare) == .prepared(serial: 1000))
        let prepared = bench.record
        bench.pass(seconds: 3600)
        #expect(bench.run(prepare) == .prepared(serial: 1000))
        #expect(bench.record == prepared, "not even a later expiry")
        let activate = try bench.activate(new)
        #expect(bench.run(activate) == .activated(serial: 1001))
        let activated = bench.record
        #expect(bench.run(activate) == .activated(serial: 1001))
        #expect(bench.run(prepare) == .prepared(serial: 1001))
        #expect(bench.record == activated)
    }

    @Test(arguments: 0...3)
    func `a change that was cut after any number of vaults leaves a registration that recovers`(reached: Int) throws {
        let vaults = try (0..<3).map { try Bench(index: $0) }
        let old = try vaults[0].newRegistration()
        let new = try vaults[0].newRegistration()
        for vault in vaults {
            vault.run(try vault.prepare(old))
            vault.run(try vault.activate(old))
            vault.run(try vault.prepare(new, replacing: old))
        }
        for vault in vaults[..<reached] { vault.run(try vault.activate(new, replacing: old)) }
        // Cut here. The old one still recovers everywhere, the new one where it arrived.
        #expect(vaults.count { $0.run(.evaluate($0.guess(old))) == nil } == 3)
        #expect(vaults.count { $0.run(.evaluate($0.guess(new))) == nil } == reached)
        // Taken up again: the certificate goes to all, and the new record to those that missed it.
        guard reached > 0 else { return }
        for vault in vaults {
            guard case .retired = vault.run(.retire(try vault.certificate(old, new))) else {
                Issue.record("not retired")
                continue
            }
            vault.run(try vault.prepare(new))
            #expect(vault.run(try vault.activate(new)) == .activated(serial: vault.serial))
        }
        #expect(vaults.count { $0.run(.evaluate($0.guess(new))) == nil } == 3)
        #expect(vaults.allSatisfy { $0.run(.evaluate($0.guess(old))) == .refused(.unknownRegistration) })
    }

    @Test(arguments: [UInt64](1...20))
    func `every message replayed in any order has one effect`(seed: UInt64) throws {
        let bench = try Bench(seed: seed)
        bench.policy.waitsSeconds = []
        var sent: [Command] = []
        func send(_ command: Command, to bench: Bench) {
            sent.append(command)
            bench.run(command)
        }
        let first = try bench.newRegistration()
        send(try bench.prepare(first), to: bench)
        send(try bench.activate(first), to: bench)
        let guess = bench.guess(first)
        send(.evaluate(guess), to: bench)
        send(.evaluate(bench.guess(first)), to: bench)
        send(try bench.confirm([guess.receipt], of: first), to: bench)
        let second = try bench.newRegistration()
        send(try bench.prepare(second, replacing: first), to: bench)
        send(try bench.activate(second, replacing: first), to: bench)
        send(.evaluate(bench.guess(second)), to: bench)
        send(.retire(try bench.certificate(first, second)), to: bench)
        send(.evaluate(bench.guess(second)), to: bench)
        let settled = bench.record
        #expect(settled.attemptsLeft == 4 && settled.active?.recordHash == second.hash)

        var generator = SeededGenerator(seed: seed)
        for command in (sent + sent + sent).shuffled(using: &generator) {
            bench.run(command)
            #expect(bench.record == settled)
        }
        bench.run(try bench.delete(second))
        let deleted = bench.record
        for command in (sent + sent).shuffled(using: &generator) {
            bench.run(command)
            #expect(bench.record == deleted)
        }
    }

    @Test func `a change is taken back by a certificate for the previous registration, and no attempt comes back`()
        throws
    {
        let bench = try Bench()
        let first = try bench.register()
        let second = try bench.register(replacing: first)
        bench.run(.evaluate(bench.guess(first)))
        bench.run(.evaluate(bench.guess(second)))
        let (serial, left) = (bench.serial, bench.record.attemptsLeft)
        #expect(bench.run(.retire(try bench.certificate(second, first))) == .retired(serial: serial + 1))
        #expect(bench.record.active?.id == first.id && bench.record.previous == nil)
        #expect(bench.record.attemptsLeft == left && left == Int(bench.record.budget) - 2)
        #expect(bench.lastStep?.erasesSecrets == true)
        #expect(bench.run(.evaluate(bench.guess(second))) == .refused(.unknownRegistration))
    }

    @Test func `a registration that guesses destroyed is not prepared again, whoever signs`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let registration = try bench.register()
        for _ in 0..<6 { bench.run(.evaluate(bench.guess(registration))) }
        bench.pass(seconds: 72 * 3600)
        let destroyed = Reply.refused(.destroyed(at: Timestamp(unixSeconds: bench.time.seconds)))
        #expect(bench.run(try bench.prepare(registration)) == destroyed)
        #expect(bench.run(try bench.prepare(registration, replacing: registration)) == destroyed)
        let other = try bench.newRegistration()
        #expect(bench.run(try bench.prepare(other, replacing: registration)) == .prepared(serial: bench.serial))
    }

    @Test(arguments: [0, 3, 6])
    func `a registration that a stranger had deleted after the delay has no second count`(guesses: Int) throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let registration = try bench.register()
        for _ in 0..<guesses { bench.run(.evaluate(bench.guess(registration))) }
        bench.pass(seconds: 72 * 3600)
        _ = bench.status()
        bench.run(bench.requestDeletion(registration))
        bench.pass(seconds: 14 * 24 * 3600)
        #expect(bench.run(bench.requestDeletion(registration)) == .deleted(serial: bench.serial))
        // Its owner's device, which had no part in it, delivers the share once more.
        guard case .refused(.destroyed) = bench.run(try bench.prepare(registration)) else {
            Issue.record("prepared again")
            return
        }
        let other = try bench.newRegistration()
        #expect(bench.run(try bench.prepare(other)) == .prepared(serial: bench.serial))
    }
}
