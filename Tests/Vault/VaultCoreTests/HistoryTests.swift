import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing
import VaultCore

@Suite struct HistoryTests {
    private func summary(_ entries: [HistoryEntry]) -> [String] { entries.map { "\($0.kind) \($0.count)" } }

    @Test func `attempts that the right password followed are not shown as failed`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let mine = bench.guess(owner)
        bench.run(.evaluate(mine))
        bench.pass(seconds: 60)
        bench.run(.evaluate(bench.guess(owner)))
        bench.run(.evaluate(bench.guess(owner)))
        #expect(summary(try bench.entries(owner)) == ["prepared 1", "activated 1", "attempt 3"])
        bench.run(try bench.confirm([mine.receipt], of: owner))
        let entries = try bench.entries(owner)
        #expect(summary(entries) == ["prepared 1", "activated 1", "attempt 2", "confirmed 1"])
        #expect(entries[2].last == Timestamp(unixSeconds: bench.time.seconds))
    }

    @Test func `events of one kind coalesce within a day and keep first and last time`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        let start = Timestamp(unixSeconds: bench.time.seconds)
        bench.run(.evaluate(bench.guess(owner)))
        bench.pass(seconds: 3600)
        bench.run(.evaluate(bench.guess(owner)))
        bench.pass(seconds: 24 * 3600)
        bench.run(.evaluate(bench.guess(owner)))
        let attempts = try bench.entries(owner).filter { $0.kind == .attempt }
        #expect(
            attempts == [
                HistoryEntry(kind: .attempt, count: 2, first: start, last: start.adding(seconds: 3600)),
                HistoryEntry(
                    kind: .attempt, count: 1, first: start.adding(seconds: 25 * 3600),
                    last: start.adding(seconds: 25 * 3600)),
            ])
    }

    @Test func `an account thief who floods the history for years hides no attempt and no request`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        let attempted = Timestamp(unixSeconds: bench.time.seconds)
        bench.run(.evaluate(bench.guess(owner)))
        bench.pass(seconds: 2 * 24 * 3600)
        let thief = try bench.newRegistration()
        bench.run(try bench.prepare(thief))
        let requested = Timestamp(unixSeconds: bench.time.seconds)
        bench.run(try bench.activate(thief))
        bench.pass(seconds: 2 * 24 * 3600)
        bench.run(.evaluate(bench.guess(owner)))
        for _ in 0..<200 {
            bench.pass(seconds: 2 * 24 * 3600)
            for _ in 0..<2 { bench.run(try bench.prepare(try bench.newRegistration())) }
        }
        let entries = try bench.entries(owner)
        #expect(entries.count <= Limits.historyEntriesMax)
        #expect(entries.filter { $0.kind == .attempt }.map(\.count) == [1, 1], "each attempt kept its day")
        #expect(entries.first { $0.kind == .attempt }?.first == attempted)
        #expect(entries.contains { $0.kind == .replacementRequested && $0.first == requested })
        #expect(entries.filter { $0.kind == .prepared }.reduce(0) { $0 + $1.count } == 402)
    }

    @Test(arguments: [UInt64](1...10))
    func `whatever happens and however long, no count is lost and no more entries are kept`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var history = AccountHistory()
        var counts: [HistoryEntry.Kind: Int] = [:]
        var now: UInt64 = 1_800_000_000
        for _ in 0..<1000 {
            guard let kind = HistoryEntry.Kind.allCases.randomElement(using: &generator) else { return }
            now += UInt64.random(in: 0...200_000, using: &generator)
            history.note(kind, atSeconds: now)
            counts[kind, default: 0] += 1
            #expect(history.entries.count <= Limits.historyEntriesMax)
        }
        for kind in HistoryEntry.Kind.allCases {
            #expect(
                history.entries.filter { $0.kind == kind }.reduce(0) { $0 + Int($1.count) } == counts[kind, default: 0])
        }
        #expect(try AccountHistory(decoding: history.encoded()) == history)
    }

    @Test func `History needs the key, and one message of it has one effect`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        let stranger = try bench.newRegistration()
        let forged = Bench.NewRecord(record: owner.record, hash: owner.hash, shares: owner.shares, key: stranger.key)
        #expect(bench.run(try bench.history(forged)) == .refused(.badSignature))
        #expect(bench.run(try bench.history(stranger)) == .refused(.unknownRegistration))
        let asked = try bench.history(owner)
        #expect(bench.run(asked) != .refused(.badSignature))
        let after = bench.record
        #expect(bench.run(asked) == .refused(.staleSerial(current: after.serial)))
        #expect(bench.record == after)
    }

    @Test func `Forgive gives back the attempts that were shown and none made since`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let old = try bench.register()
        let new = try bench.register(replacing: old)
        let shown = [bench.guess(old), bench.guess(new)]
        for guess in shown { bench.run(.evaluate(guess)) }
        bench.run(.retire(try bench.certificate(old, new)))
        guard case .history(let reply) = bench.run(try bench.history(new)) else { return }
        #expect(reply.charged.map(\.attemptID) == shown.map(\.attemptID))
        bench.run(.evaluate(bench.guess(new)))
        let forgive = try bench.forgive(reply.charged.map(\.attemptID), of: new)
        #expect(bench.run(forgive) == .forgiven(serial: bench.serial, attemptsLeft: 5))
        #expect(bench.record.charges.count == 1)
        #expect(bench.run(forgive) == .refused(.staleSerial(current: bench.serial)))
        let entries = try bench.entries(new)
        #expect(entries.first { $0.kind == .attempt }?.count == 1)
        #expect(entries.first { $0.kind == .forgiven }?.count == 2)
    }

    @Test func `Forgive needs the active key, and not that of the registration before`() throws {
        let bench = try Bench()
        let old = try bench.register()
        let new = try bench.register(replacing: old)
        let guess = bench.guess(new)
        bench.run(.evaluate(guess))
        #expect(bench.run(try bench.forgive([guess.attemptID], of: old)) == .refused(.unknownRegistration))
        let forged = Bench.NewRecord(record: new.record, hash: new.hash, shares: new.shares, key: old.key)
        #expect(bench.run(try bench.forgive([guess.attemptID], of: forged)) == .refused(.badSignature))
        #expect(bench.record.attemptsLeft == 5)
    }

    @Test func `after destruction the old key still reads what happened`() throws {
        let bench = try Bench()
        bench.policy.waitsSeconds = []
        let owner = try bench.register()
        for _ in 0..<6 { bench.run(.evaluate(bench.guess(owner))) }
        bench.pass(seconds: 72 * 3600)
        bench.status()
        #expect(summary(try bench.entries(owner)) == ["prepared 1", "activated 1", "attempt 6", "destroyed 1"])
        #expect(bench.status()?.ended?.registrationID == owner.id)
    }

    @Test func `the owner's Delete leaves no history`() throws {
        let bench = try Bench()
        let owner = try bench.register()
        bench.run(.evaluate(bench.guess(owner)))
        bench.run(try bench.delete(owner))
        #expect(bench.record.history.entries.isEmpty)
    }
}
