import ByteCoding
import RecoveryProtocol
import TestSupport
import Testing
import VaultCore

@Suite struct RecordTests {
    private func fullRecord() throws -> AccountRecord {
        let bench = try Bench()
        let first = try bench.register()
        let second = try bench.register(replacing: first)
        bench.run(.retire(try bench.certificate(first, second)))
        let third = try bench.register(replacing: second)
        bench.run(try bench.prepare(try bench.newRegistration(), replacing: third))
        bench.run(try bench.prepare(try bench.newRegistration()))
        bench.run(.evaluate(bench.guess(third)))
        bench.run(.evaluate(bench.guess(second)))
        return bench.record
    }

    @Test func `an account's record reads back as it was written`() throws {
        let record = try fullRecord()
        #expect(record.active != nil && record.previous != nil && record.pending != nil)
        #expect(record.pendingSigned != nil && record.charges.count == 2 && record.certificates.count == 1)
        let bytes = try record.encoded()
        #expect(try AccountRecord(decoding: bytes) == record)
        #expect(try AccountRecord(decoding: bytes).encoded() == bytes)
        var destroyed = AccountRecord(serial: 5)
        destroyed.tombstone = Tombstone(
            destroyedSeconds: 7, registrationID: try #require(record.active?.id),
            managementKey: try #require(record.active?.managementKey), successor: record.active?.recordHash)
        #expect(try AccountRecord(decoding: destroyed.encoded()) == destroyed)
    }

    @Test func `no prefix, no longer text and no other version reads as a record`() throws {
        let bytes = try fullRecord().encoded()
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: ByteCodingError.self) { try AccountRecord(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: ByteCodingError.trailingBytes) { try AccountRecord(decoding: bytes + [0]) }
        #expect(throws: ByteCodingError.invalidValue) { try AccountRecord(decoding: [3] + bytes.dropFirst()) }
    }

    @Test func `a record without a head is written as before there were heads, and one with it as version 2`() throws {
        var record = try fullRecord()
        let bytes = try record.encoded()
        #expect(bytes.first == 1)
        #expect(throws: ByteCodingError.self) { try AccountRecord(decoding: [2] + bytes.dropFirst()) }
        for isRestored in [false, true] {
            record.head = KeptHead(head: try Bench().head(), isRestored: isRestored)
            let withHead = try record.encoded()
            #expect(withHead.first == 2 && withHead.count == bytes.count + SealedHead.byteCount + 1)
            #expect(try AccountRecord(decoding: withHead) == record)
            #expect(throws: ByteCodingError.self) { try AccountRecord(decoding: [1] + withHead.dropFirst()) }
        }
    }

    @Test func `bent records are refused or read as another value, and never crash`() throws {
        let bytes = try fullRecord().encoded()
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<2000 {
            var bent = bytes
            let position = Int.random(in: 0..<bent.count, using: &generator)
            bent[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            guard let record = try? AccountRecord(decoding: bent) else { continue }
            #expect(try record.encoded() == bent, "one encoding for each value")
        }
    }

    @Test func `tenants, settings and heads read back as they were written`() throws {
        var policy = TenantPolicy()
        policy.budget = 7
        policy.waitsSeconds = [9, 8]
        let tenant = TenantRecord(name: "chat", keySet: [1, 2, 3], policy: policy)
        #expect(try TenantRecord(decoding: tenant.encoded()) == tenant)
        let configuration = VaultConfiguration(name: "fra", fleet: try Bench().fleet, tenants: ["a", "b"])
        #expect(try VaultConfiguration(decoding: configuration.encoded()) == configuration)
        let head = LedgerHead(
            vaultID: try VaultID([UInt8](repeating: 1, count: 16)), epoch: 3, slotCount: 4, root: MerkleTree().root,
            previous: .none, time: LedgerTime(seconds: 1, servingSeconds: 2))
        #expect(try LedgerHead(decoding: head.encoded()) == head)
    }

    @Test func `the ledger's time never falls, and does not stand still when the wall clock is behind`() {
        let time = LedgerTime(seconds: 1000, servingSeconds: 10)
        func later(wall: UInt64, after uptime: UInt64) -> LedgerTime {
            time.advanced(
                from: Moment(wallSeconds: 1000, uptimeSeconds: 5),
                to: Moment(wallSeconds: wall, uptimeSeconds: 5 + uptime))
        }
        #expect(later(wall: 1000, after: 0) == time)
        #expect(later(wall: 1007, after: 7) == LedgerTime(seconds: 1007, servingSeconds: 17))
        #expect(later(wall: 3, after: 7) == LedgerTime(seconds: 1007, servingSeconds: 17))
        #expect(later(wall: 9000, after: 7) == LedgerTime(seconds: 9000, servingSeconds: 17))
        #expect(later(wall: .max, after: .max - 5).seconds == .max)
    }
}
