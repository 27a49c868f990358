import Primitives
import RecoveryProtocol
import Testing
import VaultCore

/// What devices say of their newest backup, at one vault.
@Suite struct HeadTests {
    @Test func `the last head that was set is shown, to its owner alone`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        #expect(try bench.shownHead(of: owner) == nil)
        let (first, second) = (bench.head(), bench.head())
        #expect(bench.run(try bench.setHead(first, of: owner)) == .headSet(serial: bench.serial))
        #expect(try bench.shownHead(of: owner) == KeptHead(head: first))
        bench.run(try bench.setHead(second, of: owner))
        #expect(try bench.shownHead(of: owner) == KeptHead(head: second))
        let stranger = Bench.NewRecord(
            record: owner.record, hash: owner.hash, shares: owner.shares, key: try bench.newRegistration().key)
        let before = bench.record
        #expect(bench.run(try bench.getHead(of: stranger)) == .refused(.badSignature))
        #expect(bench.run(try bench.setHead(first, of: stranger)) == .refused(.badSignature))
        #expect(bench.run(try bench.getHead(of: try bench.newRegistration())) == .refused(.unknownRegistration))
        #expect(bench.record == before)
    }

    @Test func `a stranger sees no difference between an account with a head and one without`() throws {
        let (with, without) = (try Bench(), try Bench())
        let (owner, other) = (try with.register(), try without.register())
        with.run(try with.setHead(with.head(), of: owner))
        without.run(try without.history(other))
        #expect(with.status() == without.status())
        let key = try with.newRegistration().key
        func asked(_ bench: Bench, _ registration: Bench.NewRecord) throws -> Reply? {
            bench.run(
                try bench.getHead(
                    of: Bench.NewRecord(
                        record: registration.record, hash: registration.hash, shares: registration.shares, key: key)))
        }
        #expect(try asked(with, owner) == asked(without, other))
    }

    @Test func `one message has one effect, and a second device that was not looking is refused`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let (first, second) = (bench.head(), bench.head())
        let (one, other) = (try bench.setHead(first, of: owner), try bench.setHead(second, of: owner))
        let look = try bench.getHead(of: owner)
        bench.run(one)
        let serial = bench.serial
        for late in [one, other, look] { #expect(bench.run(late) == .refused(.staleSerial(current: serial))) }
        #expect(bench.record.head == KeptHead(head: first))
    }

    @Test func `a head is bound to its vault and to what was signed`() throws {
        let (bench, elsewhere) = (try Bench(index: 1), try Bench(index: 2))
        let owner = try bench.register()
        elsewhere.record.serial = bench.serial
        guard case .setHead(let forwarded) = try elsewhere.setHead(bench.head(), of: owner),
            case .setHead(let own) = try bench.setHead(bench.head(), of: owner)
        else { return }
        #expect(bench.run(.setHead(forwarded)) == .refused(.badSignature))
        let swapped = SetHeadRequest(
            serial: own.serial, registrationID: own.registrationID, head: bench.head(), signature: own.signature)
        #expect(bench.run(.setHead(swapped)) == .refused(.badSignature))
        // The signature of one operation is not that of the other.
        let asked = GetHeadRequest(serial: own.serial, registrationID: own.registrationID, signature: own.signature)
        #expect(bench.run(.getHead(asked)) == .refused(.badSignature))
        #expect(bench.record.head == nil)
    }

    @Test func `it outlives a change that the old key signed, whichever way the vault learns of it`() throws {
        let bench = try Bench()
        let first = try bench.register()
        let head = bench.head()
        bench.run(try bench.setHead(head, of: first))
        let second = try bench.register(replacing: first)
        #expect(try bench.shownHead(of: second) == KeptHead(head: head))
        #expect(bench.run(try bench.getHead(of: first)) == .refused(.unknownRegistration))
        bench.run(.retire(try bench.certificate(first, second)))
        #expect(bench.record.head == KeptHead(head: head))
        // A vault that missed the next change learns of it by the certificate, and later gets its share.
        let third = try bench.newRegistration()
        bench.run(.retire(try bench.certificate(second, third)))
        #expect(bench.record.active == nil && bench.record.head == KeptHead(head: head))
        bench.run(try bench.prepare(third))
        bench.run(try bench.activate(third))
        #expect(try bench.shownHead(of: third) == KeptHead(head: head))
        // A change that is taken back.
        let fourth = try bench.register(replacing: third)
        bench.run(.retire(try bench.certificate(fourth, third)))
        #expect(try bench.shownHead(of: third) == KeptHead(head: head))
    }

    @Test func `it goes with Delete, with destruction, and with what is done without the key`() throws {
        func bench() throws -> (Bench, Bench.NewRecord) {
            let bench = try Bench()
            bench.policy.waitsSeconds = []
            let owner = try bench.register()
            bench.run(try bench.setHead(bench.head(), of: owner))
            #expect(bench.record.head != nil)
            return (bench, owner)
        }
        let (deleted, first) = try bench()
        deleted.run(try deleted.delete(first))
        #expect(deleted.record.head == nil)
        #expect(deleted.run(try deleted.getHead(of: first)) == .refused(.notRegistered))
        let (destroyed, second) = try bench()
        while destroyed.record.attemptsLeft > 0 { destroyed.run(.evaluate(destroyed.guess(second))) }
        #expect(destroyed.record.head != nil, "the last attempt may be the right one")
        destroyed.pass(seconds: UInt64(destroyed.policy.graceSeconds))
        let refused = destroyed.run(try destroyed.setHead(destroyed.head(), of: second))
        #expect(destroyed.record.head == nil)
        guard case .refused(.destroyed) = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        for isDeletion in [true, false] {
            let (taken, _) = try bench()
            taken.policy.replacementDelaySeconds = 100
            let own = taken.record.active?.id
            let thief = try taken.newRegistration()
            func ask() throws {
                guard !isDeletion else {
                    taken.run(
                        .requestDeletion(DeletionRequest(serial: taken.serial, registrationID: try #require(own))))
                    return
                }
                taken.run(try taken.prepare(thief))
                taken.run(try taken.activate(thief))
            }
            try ask()
            #expect(taken.record.head != nil)
            taken.pass(seconds: 100)
            try ask()
            #expect(taken.record.active?.id != own && taken.record.head == nil)
        }
    }

    @Test func `setting a head is a word of the owner, and calls off what was asked for without the key`() throws {
        let bench = try Bench()
        bench.policy.replacementDelaySeconds = 100
        let owner = try bench.register()
        bench.run(bench.requestDeletion(owner))
        #expect(bench.record.requestedChange != nil)
        bench.run(try bench.setHead(bench.head(), of: owner))
        #expect(bench.record.requestedChange == nil)
    }

    @Test func `after a restore it is kept with a mark, and neither shown nor set until the key has spoken`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let (old, new) = (bench.head(), bench.head())
        bench.run(try bench.setHead(old, of: owner))
        let nonce = bench.nonce()
        bench.record.freeze(nonce: nonce, batchesMissed: 3, drawn: 0)
        #expect(bench.run(try bench.getHead(of: owner)) == .refused(.frozen))
        #expect(bench.run(try bench.setHead(new, of: owner)) == .refused(.frozen))
        bench.run(try bench.thaw(nonce, of: owner))
        #expect(try bench.shownHead(of: owner) == KeptHead(head: old, isRestored: true))
        bench.run(try bench.setHead(new, of: owner))
        #expect(try bench.shownHead(of: owner) == KeptHead(head: new))
    }
}
