import ByteCoding
import Primitives
import RecoveryProtocol

/// A registration as clients make it, but for Argon2id and AES: those cost tens of milliseconds, and no vault sees them.
/// Sharing, OPRF, commitments, record and signatures are the real ones.
struct PlainRegistration: Sendable {
    static let argon2 = Argon2Parameters(memoryKiB: 19 * 1024, passes: 2)

    let record: PublicRecord
    let recordHash: RecordHash
    let shares: [SecretShare]
    let password: SecretBytes
    let managementKey: SigningKey

    var id: RegistrationID { record.header.registrationID }
    var name: RegistrationName { RegistrationName(id: id, recordHash: recordHash) }

    /// `id` is drawn unless it is given.
    init(
        backupKey: SecretBytes, password: SecretBytes, fleet: Fleet, name: AccountName, id given: RegistrationID? = nil,
        using generator: inout some RandomNumberGenerator
    ) throws {
        let random = RegistrationRandomness.draw(threshold: fleet.threshold, using: &generator)
        let id = given ?? random.registrationID
        shares = SecretSharing.split(coefficients: random.coefficients, indices: fleet.current.indices)
        self.password = password
        managementKey = RecoveryProtocol.managementKey(backupKey: backupKey, registrationID: id)
        let holders = zip(fleet.currentVaults, shares).map { vault, share in
            ShareHolder(
                index: vault.index, vaultID: vault.id,
                commitment: ShareCommitment(
                    registrationID: id, index: vault.index, vaultID: vault.id, shareKey: share.value.timesGenerator))
        }
        let header = try RecordHeader(
            fleetID: fleet.id, fleetVersion: fleet.version, name: name, registrationID: id,
            threshold: fleet.current.threshold, holders: holders, argon2: Self.argon2,
            managementKey: managementKey.verifyingKey)
        let input = try passwordInput(fleetID: fleet.id, name: name, registrationID: id, password: password)
        let key = random.coefficients[0]
        let output = OPRF.output(input: input, unblinded: key * (try OPRF.hashToGroup(input, mode: .verifiable)))
        record = PublicRecord(header: header, envelope: try Self.seal(backupKey, under: output))
        recordHash = try record.recordHash()
    }

    func share(for vaultID: VaultID) -> Scalar? {
        guard let index = record.header.holder(vaultID: vaultID)?.index else { return nil }
        return shares.first { $0.index == index }?.value
    }

    // MARK: Envelope

    private static func seal(_ backupKey: SecretBytes, under output: SecretBytes) throws -> Envelope {
        let mask = stream(output)
        let key = backupKey.withBytes { Array($0) }
        return try Envelope(
            commitment: Array(mask[..<32]),
            ciphertext: zip(key, mask[32..<64]).map { $0 ^ $1 } + [UInt8](repeating: 0, count: 16))
    }

    /// Nil if the password was another one.
    static func open(_ envelope: Envelope, with output: SecretBytes) -> [UInt8]? {
        let mask = stream(output)
        guard Array(mask[..<32]) == envelope.commitment else { return nil }
        return zip(envelope.ciphertext, mask[32..<64]).map { $0 ^ $1 }
    }

    private static func stream(_ output: SecretBytes) -> [UInt8] {
        let bytes = output.withBytes { Array($0) }
        return sha256(bytes + [0]) + sha256(bytes + [1])
    }
}

/// One entry of a password.
struct PlainAttempt {
    let attempt: PasswordAttempt
    private let blind: Scalar
    private let input: SecretBytes

    init(password: SecretBytes, view: RecordView, using generator: inout some RandomNumberGenerator) throws {
        blind = .random(using: &generator)
        attempt = try PasswordAttempt(
            password: password, view: view, attemptID: .random(using: &generator), blind: blind)
        input = try passwordInput(
            fleetID: view.header.fleetID, name: view.header.name, registrationID: view.header.registrationID,
            password: password)
    }

    /// K, if it was the password; from t elements.
    func finish(_ elements: [(index: UInt8, element: GroupElement)], _ envelope: Envelope) -> [UInt8]? {
        guard let combined = SecretSharing.combine(elements),
            let output = OPRF.finalize(input: input, blind: blind, evaluation: combined)
        else { return nil }
        return PlainRegistration.open(envelope, with: output)
    }
}
