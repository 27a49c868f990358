import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `From password to key` {
    let fleet: Fleet
    let registration: NewRegistration
    let backupKey: SecretBytes
    var samples = Samples(seed: 40)

    static let password = SecretBytes(copying: Array("correct horse".utf8))
    static let wrong = SecretBytes(copying: Array("correct house".utf8))

    init() throws {
        fleet = try samples.fleet(of: 5).fleet
        backupKey = .random(32, using: &samples.generator)
        registration = try NewRegistration(
            backupKey: backupKey, password: Self.password, fleet: fleet, name: Samples.name(),
            argon2: Samples.argon2, using: &samples.generator)
    }

    private mutating func attempt(_ password: SecretBytes) throws -> PasswordAttempt {
        try PasswordAttempt(password: password, view: RecordView(registration.record), using: &samples.generator)
    }

    private mutating func reply(of index: UInt8, to attempt: PasswordAttempt) throws -> EvaluateReply {
        let share = try #require(registration.shares.first { $0.index == index })
        let made = Evaluation(of: attempt.blindedElement, share: share.value, using: &samples.generator)
        return EvaluateReply(
            evaluation: made.element, proof: made.proof, shareKey: made.shareKey,
            envelope: registration.record.envelope, attemptsLeft: 5)
    }

    private func vaultID(_ index: UInt8) throws -> VaultID { try #require(fleet.vault(index: index)?.id) }

    @Test mutating func `every three of five bring the key back`() throws {
        let attempt = try attempt(Self.password)
        var checked: [CheckedEvaluation] = []
        for index in fleet.current.indices {
            checked.append(try attempt.check(try reply(of: index, to: attempt), from: vaultID(index)))
        }
        for subset in subsets(of: checked, count: 3) {
            let recovered = try attempt.finish(subset)
            #expect(recovered.backupKey.isEqual(to: backupKey))
            #expect(recovered.managementKey.verifyingKey == registration.record.header.managementKey)
        }
        #expect(throws: FinishError.tooFewEvaluations) { _ = try attempt.finish(Array(checked.prefix(2))) }
    }

    @Test mutating func `a wrong password is told apart from a lying vault`() throws {
        let attempt = try attempt(Self.wrong)
        var checked: [CheckedEvaluation] = []
        for index in [1, 3, 5] as [UInt8] {
            checked.append(try attempt.check(try reply(of: index, to: attempt), from: vaultID(index)))
        }
        #expect(throws: FinishError.wrongPassword) { _ = try attempt.finish(checked) }
    }

    @Test mutating func `each lie is caught before anything is combined`() throws {
        let attempt = try attempt(Self.password)
        let honest = try reply(of: 1, to: attempt)
        let other = try reply(of: 2, to: attempt)
        let first = try vaultID(1)
        func lie(
            evaluation: GroupElement? = nil, proof: EvaluationProof? = nil, shareKey: GroupElement? = nil,
            envelope: Envelope? = nil
        ) -> EvaluateReply {
            EvaluateReply(
                evaluation: evaluation ?? honest.evaluation, proof: proof ?? honest.proof,
                shareKey: shareKey ?? honest.shareKey, envelope: envelope ?? honest.envelope, attemptsLeft: 5)
        }
        let foreign = try Envelope(
            commitment: honest.envelope.commitment, ciphertext: [UInt8](repeating: 0, count: 48))
        #expect(throws: VaultFault.badProof) { _ = try attempt.check(lie(evaluation: other.evaluation), from: first) }
        #expect(throws: VaultFault.badProof) { _ = try attempt.check(lie(proof: other.proof), from: first) }
        #expect(throws: VaultFault.wrongShareKey) {
            _ = try attempt.check(lie(shareKey: other.shareKey), from: first)
        }
        #expect(throws: VaultFault.wrongEnvelope) { _ = try attempt.check(lie(envelope: foreign), from: first) }
        // Another vault's whole answer, well proved.
        #expect(throws: VaultFault.wrongShareKey) { _ = try attempt.check(other, from: first) }
        #expect(throws: VaultFault.wrongRecord) {
            _ = try attempt.check(honest, from: .random(using: &samples.generator))
        }
    }

    @Test mutating func `a password is bound to fleet, account and registration`() throws {
        let again = try NewRegistration(
            backupKey: backupKey, password: Self.password, fleet: fleet, name: Samples.name(),
            argon2: Samples.argon2, using: &samples.generator)
        #expect(again.recordHash != registration.recordHash)
        #expect(again.managementKey.verifyingKey != registration.managementKey.verifyingKey)
        let id = RegistrationID.random(using: &samples.generator)
        func input(_ account: String, _ id: RegistrationID) throws -> SecretBytes {
            try passwordInput(
                fleetID: fleet.id, name: AccountName(tenant: "chat", account: account), registrationID: id,
                password: Self.password)
        }
        #expect(!(try input("a", id).isEqual(to: try input("b", id))))
        #expect(!(try input("a", id).isEqual(to: try input("a", .random(using: &samples.generator)))))
    }

    @Test func `shares belong to their own vault and record`() throws {
        let (one, two) = (try vaultID(1), try vaultID(2))
        let share = try #require(registration.share(for: one))
        let request = PrepareRequest(serial: 1, record: registration.record, share: share)
        #expect(request.shareBelongs(to: one))
        #expect(!request.shareBelongs(to: two))
        #expect(!PrepareRequest(serial: 1, record: registration.record, share: share + .one).shareBelongs(to: one))
    }

    @Test(arguments: [
        Argon2Parameters(memoryKiB: 19 * 1024 - 1, passes: 3), Argon2Parameters(memoryKiB: 64 * 1024, passes: 1),
        Argon2Parameters(memoryKiB: 1024 * 1024 + 1, passes: 3), Argon2Parameters(memoryKiB: 64 * 1024, passes: 11),
    ])
    func `Argon2 below the floor or above the ceiling is refused on both sides`(argon2: Argon2Parameters) throws {
        var samples = Samples(seed: 41)
        #expect(throws: RegistrationError.argon2Parameters) {
            _ = try NewRegistration(
                backupKey: backupKey, password: Self.password, fleet: fleet, name: Samples.name(), argon2: argon2,
                using: &samples.generator)
        }
        let old = registration.record.header
        let header = try RecordHeader(
            fleetID: old.fleetID, fleetVersion: old.fleetVersion, name: old.name,
            registrationID: old.registrationID, threshold: old.threshold, holders: old.holders, argon2: argon2,
            managementKey: old.managementKey)
        let view = RecordView(header: header, envelopeHash: registration.record.envelope.hash)
        #expect(throws: PasswordAttempt.StartError.argon2Parameters) {
            _ = try PasswordAttempt(password: Self.password, view: view, using: &samples.generator)
        }
    }

    @Test func `a succession certificate needs both keys and its own names`() throws {
        let (old, new) = (
            SigningKey(seed: SecretBytes(copying: [UInt8](repeating: 1, count: 32))),
            SigningKey(seed: SecretBytes(copying: [UInt8](repeating: 2, count: 32)))
        )
        let name = try Samples.name()
        let certificate = try SuccessionCertificate(
            fleetID: fleet.id, name: name, oldRegistrationID: registration.record.header.registrationID,
            newRecordHash: registration.recordHash, oldKey: old, newKey: new)
        #expect(try certificate.isValid(fleetID: fleet.id, name: name, oldManagementKey: old.verifyingKey))
        #expect(try !certificate.isValid(fleetID: fleet.id, name: name, oldManagementKey: new.verifyingKey))
        let other = try AccountName(tenant: "chat", account: "bob")
        #expect(try !certificate.isValid(fleetID: fleet.id, name: other, oldManagementKey: old.verifyingKey))
        let bytes = try certificate.encoded()
        for position in bytes.indices {
            var altered = bytes
            altered[position] ^= 1
            let forged = try SuccessionCertificate(decoding: altered)
            #expect(try !forged.isValid(fleetID: fleet.id, name: name, oldManagementKey: old.verifyingKey))
        }
    }
}
