import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `What stands` {
    let fleet: Fleet
    let name: AccountName
    let backupKey: SecretBytes
    let (a, b, c): (RegistrationName, RegistrationName, RegistrationName)

    init() throws {
        var samples = Samples(seed: 60)
        fleet = try samples.fleet(of: 5).fleet
        name = try Samples.name()
        var generator = SeededGenerator(seed: 61)
        backupKey = .random(32, using: &generator)
        func some(_ generator: inout SeededGenerator) -> RegistrationName {
            RegistrationName(id: .random(using: &generator), recordHash: .random(using: &generator))
        }
        (a, b, c) = (some(&generator), some(&generator), some(&generator))
    }

    private func reply(
        _ active: RegistrationName?, over previous: RegistrationName? = nil,
        showing certificates: [SuccessionCertificate] = []
    ) -> StatusReply {
        let places: [(HeldRecord.Role, RegistrationName?)] = [(.active, active), (.previous, previous)]
        return StatusReply(
            serial: 1, vaultTime: Timestamp(unixSeconds: 1), state: active == nil ? .notRegistered : .active,
            attemptsLeft: 6, attemptsPerVault: 6, notBefore: Timestamp(unixSeconds: 0),
            held: places.compactMap { role, name in
                name.map { HeldRecord(role: role, registrationID: $0.id, recordHash: $0.recordHash) }
            }, record: nil, certificates: certificates)
    }

    private func succession(_ replies: [StatusReply], noted: RegistrationName? = nil) -> Succession {
        Succession(replies, fleet: fleet, name: name, backupKey: backupKey, noted: noted)
    }

    private func ending(_ old: RegistrationName, for new: RegistrationName) throws -> SuccessionCertificate {
        try SuccessionCertificate(
            fleetID: fleet.id, name: name, oldRegistrationID: old.id, newRecordHash: new.recordHash,
            oldKey: managementKey(backupKey: backupKey, registrationID: old.id),
            newKey: managementKey(backupKey: backupKey, registrationID: new.id))
    }

    @Test func `it changes when all vaults have acknowledged another, or t where nothing stood`() {
        let held = succession([reply(a), reply(a), reply(a), reply(a), reply(a)], noted: a)
        #expect(held.standing(after: b, acknowledged: 4) == a)
        #expect(held.standing(after: b, acknowledged: 5) == b)
        #expect(!held.isComplete(acknowledged: 4) && held.isComplete(acknowledged: 5))
        let empty = succession([reply(nil), reply(nil), reply(nil), reply(nil), reply(nil)])
        #expect(empty.standing(after: b, acknowledged: 2) == nil)
        #expect(empty.standing(after: b, acknowledged: 3) == b)
    }

    @Test func `what was noted stands whatever two liars say, and no more when three vaults lack it`() {
        #expect(succession([reply(b), reply(nil), reply(b, over: a), reply(a), reply(a)], noted: a).standing == a)
        #expect(succession([reply(b), reply(nil), reply(nil), reply(a), reply(a)], noted: a).standing == nil)
        #expect(succession([reply(b), reply(b), reply(b), reply(a), reply(a)], noted: a).standing == b)
    }

    @Test func `without a note it is what most vaults have, and of equals what most call active`() {
        #expect(succession([reply(b, over: a), reply(a), reply(a), reply(a)]).standing == a)
        #expect(succession([reply(b, over: a), reply(b, over: a), reply(b), reply(b)]).standing == b)
        #expect(succession([reply(b, over: a), reply(b, over: a), reply(b, over: a)]).standing == b)
        #expect(succession([reply(a), reply(a), reply(b), reply(nil)]).standing == nil)
    }

    @Test func `a note is led on by the key's own certificates alone`() throws {
        let shown = try ending(a, for: b)
        let others = [reply(b, over: a), reply(b, over: a), reply(b, over: a)]
        #expect(succession([reply(b, showing: [shown])] + others, noted: a).standing == b)
        let forged = SuccessionCertificate(
            oldRegistrationID: a.id, newRecordHash: b.recordHash, newManagementKey: shown.newManagementKey,
            oldSignature: shown.newSignature, newSignature: shown.newSignature)
        #expect(succession([reply(b, showing: [forged])] + others, noted: a).standing == a)
    }

    @Test func `only what was begun upon what stands is taken back`() throws {
        let replies = [reply(b, over: a), reply(a), reply(c, over: b), reply(b), reply(a)]
        let succession = succession(replies, noted: a)
        #expect(replies.map(succession.begun(at:)) == [b.id, nil, nil, nil, nil])
        let certificate = try #require(succession.takingBack(b.id))
        #expect(certificate == (try ending(b, for: a)))
        #expect(succession.certificates(for: c).map(\.oldRegistrationID) == [b.id, a.id])
    }
}
