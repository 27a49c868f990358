import ByteCoding
package import Primitives

/// Why K was not put behind a password. Nothing was sent to anyone.
package enum RegistrationError: Error, Equatable {
    /// Argon2's parameters are below the floor or above the ceiling.
    case argon2Parameters
    case argon2Unavailable
    /// K has not 32 bytes, or the password more than 1,024.
    case inputSize
    /// The shares do not give the key back: this machine computes wrongly. Do not register from it.
    case inconsistentShares
}

/// The random part of a registration, in one place so that it has vectors.
package struct RegistrationRandomness: Sendable {
    package let registrationID: RegistrationID
    /// k first, then the other t−1 coefficients of f.
    package let coefficients: [Scalar]

    package init(registrationID: RegistrationID, coefficients: [Scalar]) {
        self.registrationID = registrationID
        self.coefficients = coefficients
    }

    package static func draw(
        threshold: Int, using generator: inout some RandomNumberGenerator
    ) -> RegistrationRandomness {
        let id = RegistrationID.random(using: &generator)
        let coefficients = (0..<threshold).map { _ in Scalar.random(using: &generator) }
        return RegistrationRandomness(registrationID: id, coefficients: coefficients)
    }
}

/// A registration as the client makes it, before any vault knows of it.
package struct NewRegistration: Sendable {
    package let record: PublicRecord
    package let recordHash: RecordHash
    /// As the record's holders, in their order.
    package let shares: [SecretShare]
    package let managementKey: SigningKey

    package init(
        backupKey: SecretBytes, password: SecretBytes, fleet: Fleet, name: AccountName,
        argon2: Argon2Parameters = .standard, using generator: inout some RandomNumberGenerator
    ) throws(RegistrationError) {
        while true {
            let randomness = RegistrationRandomness.draw(threshold: fleet.threshold, using: &generator)
            let shares = SecretSharing.split(
                coefficients: randomness.coefficients, indices: fleet.current.indices)
            // A share of zero would tell its vault nothing and answer everything alike; no vault takes it.
            guard !shares.contains(where: { $0.value.isZero }) else { continue }
            self = try NewRegistration(
                backupKey: backupKey, password: password, fleet: fleet, name: name, argon2: argon2,
                randomness: randomness)
            return
        }
    }

    /// With given randomness, for vectors.
    package init(
        backupKey: SecretBytes, password: SecretBytes, fleet: Fleet, name: AccountName,
        argon2: Argon2Parameters, randomness: RegistrationRandomness
    ) throws(RegistrationError) {
        guard argon2.isAcceptable else { throw .argon2Parameters }
        guard backupKey.count == 32, Limits.passwordBytes.contains(password.count),
            let key = randomness.coefficients.first
        else { throw .inputSize }
        let id = randomness.registrationID
        shares = SecretSharing.split(coefficients: randomness.coefficients, indices: fleet.current.indices)
        guard SecretSharing.isConsistent(shares, threshold: fleet.threshold, secret: key) else {
            throw .inconsistentShares
        }
        managementKey = RecoveryProtocol.managementKey(backupKey: backupKey, registrationID: id)
        do {
            let header = try Self.header(
                fleet: fleet, name: name, registrationID: id, shares: shares, argon2: argon2,
                managementKey: managementKey.verifyingKey)
            let input = try passwordInput(
                fleetID: fleet.id, name: name, registrationID: id, password: password)
            let output = OPRF.output(
                input: input, unblinded: key * (try OPRF.hashToGroup(input, mode: .verifiable)))
            let keys = try EnvelopeKeys(output: output, registrationID: id, argon2: argon2)
            record = PublicRecord(
                header: header, envelope: try Envelope.seal(backupKey, keys: keys, header: header))
            recordHash = try record.recordHash()
        } catch is Argon2Unavailable {
            throw .argon2Unavailable
        } catch {
            throw .inputSize
        }
    }

    package func share(for vaultID: VaultID) -> Scalar? {
        guard let index = record.header.holder(vaultID: vaultID)?.index else { return nil }
        return shares.first { $0.index == index }?.value
    }

    private static func header(
        fleet: Fleet, name: AccountName, registrationID: RegistrationID, shares: [SecretShare],
        argon2: Argon2Parameters, managementKey: VerifyingKey
    ) throws(ByteCodingError) -> RecordHeader {
        var holders: [ShareHolder] = []
        for share in shares {
            guard let vault = fleet.vault(index: share.index) else { throw .invalidValue }
            holders.append(
                ShareHolder(
                    index: share.index, vaultID: vault.id,
                    commitment: ShareCommitment(
                        registrationID: registrationID, index: share.index, vaultID: vault.id,
                        shareKey: share.value.timesGenerator)))
        }
        return try RecordHeader(
            fleetID: fleet.id, fleetVersion: fleet.version, name: name, registrationID: registrationID,
            threshold: fleet.current.threshold, holders: holders, argon2: argon2, managementKey: managementKey)
    }
}

extension PrepareRequest {
    /// The vault's check that the share is the one its place in the record commits to.
    package func shareBelongs(to vaultID: VaultID) -> Bool {
        guard let holder = record.header.holder(vaultID: vaultID) else { return false }
        let commitment = ShareCommitment(
            registrationID: record.header.registrationID, index: holder.index, vaultID: vaultID,
            shareKey: share.timesGenerator)
        return commitment == holder.commitment
    }
}
