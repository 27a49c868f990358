import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

/// What a client believes of Status replies, of which up to t−1 may lie.
@Suite struct `Status survey` {
    private let fleet: Fleet
    private let old: NewRegistration
    private let new: NewRegistration

    init() throws {
        var samples = Samples(seed: 77)
        let fleet = try samples.fleet(of: 5).fleet
        self.fleet = fleet
        func registration() throws -> NewRegistration {
            try NewRegistration(
                backupKey: SecretBytes(copying: [UInt8](repeating: 5, count: 32)),
                password: SecretBytes(copying: [1]), fleet: fleet, name: Samples.name(), argon2: Samples.argon2,
                using: &samples.generator)
        }
        old = try registration()
        new = try registration()
    }

    private func status(showing registration: NewRegistration) -> StatusReply {
        StatusReply(
            serial: 2, vaultTime: Timestamp(unixSeconds: 1_800_000_000), state: .active, attemptsLeft: 6,
            attemptsPerVault: 6, notBefore: Timestamp(unixSeconds: 0),
            held: [
                HeldRecord(
                    role: .active, registrationID: registration.record.header.registrationID,
                    recordHash: registration.recordHash)
            ], record: RecordView(registration.record), certificates: [])
    }

    private func chosen(old liars: [UInt8], new honest: [UInt8]) throws -> RecordHash? {
        var survey = StatusSurvey(fleet: fleet, name: try Samples.name())
        for (indices, registration) in [(liars, old), (honest, new)] {
            for index in indices {
                let vaultID = try #require(fleet.vault(index: index)?.id)
                try survey.add(status(showing: registration), from: vaultID)
            }
        }
        guard case .candidate(let candidate) = survey.verdict else { return nil }
        return candidate.recordHash
    }

    @Test func `the old registration served by t−1 liars after a change is not taken for the present one`() throws {
        #expect(try chosen(old: [1, 2], new: [3, 4, 5]) == new.recordHash)
        #expect(try chosen(old: [], new: [1, 3, 5]) == new.recordHash)
    }

    @Test func `fewer than t vaults decide nothing, whatever they show`() throws {
        #expect(try chosen(old: [1, 2], new: [3, 4]) == nil)
        #expect(try chosen(old: [1, 2], new: []) == nil)
    }
}
