package import Primitives
package import RecoveryProtocol

/// Why K is not behind the password. An earlier registration, if there is one, still works.
package enum EnrolmentError: Error, Sendable {
    /// Fewer vaults than a registration needs took part; each that did not is named. Run it again with the same K.
    case tooFewVaults(needed: Int, answered: Int, problems: [VaultReport])
    /// The account has a registration that this K does not manage, at these vaults.
    case anotherKeyRegistered(vaults: [Fleet.Vault])
    case passwordTooLong
    /// Argon2's parameters are outside of what clients accept.
    case argon2Parameters
    case notEnoughMemory
    /// This machine computes wrongly: its shares do not give the key back. Do not register from it.
    case brokenMachine
}

/// A registration as it stands after `register` or `deliver`.
package struct Enrolment: Sendable {
    package let registrationID: RegistrationID
    package let recordHash: RecordHash
    package let activated: [Fleet.Vault]
    /// Vaults that do not have their share yet, and why. Until there are none, the person is protected, but not
    /// against the failure of n−t vaults.
    package let missing: [VaultReport]
    /// To keep, sealed under K, and to deliver later; nil when nothing is missing.
    package let undelivered: UndeliveredShares?
    /// Whether the earlier registration was retired (true if there was none).
    package let isOldRetired: Bool
}

extension FleetClient {
    /// Puts K behind a password. K must be safe on disk before: an interrupted registration is continued by whoever
    /// holds K, and by nobody else. `oldKey` manages the registration that is replaced, if its K was another one.
    package func register(
        backupKey: SecretBytes, password: SecretBytes, argon2: Argon2Parameters = .standard,
        replacing oldKey: (registrationID: RegistrationID, managementKey: SigningKey)? = nil
    ) async throws(EnrolmentError) -> Enrolment {
        let status = await status()
        let needed = min(fleet.current.count, fleet.threshold + 1)
        guard status.answered.count >= needed else {
            throw .tooFewVaults(needed: needed, answered: status.answered.count, problems: status.problems)
        }
        let new = try newRegistration(backupKey, password, argon2)
        let old = oldKey ?? ownRegistration(status, backupKey: backupKey)
        let shares = new.record.header.holders.compactMap { holder in
            new.share(for: holder.vaultID).map {
                UndeliveredShares.Share(vaultID: holder.vaultID, value: $0)
            }
        }
        let undelivered = UndeliveredShares(
            record: new.record, shares: shares, oldRegistrationID: old?.registrationID, certificate: nil)
        let prepared = await prepare(undelivered, status: status, oldKey: old?.managementKey)
        guard prepared.vaults.count >= needed else {
            throw failure(prepared.problems + status.problems, answered: prepared.vaults.count, needed: needed)
        }
        let activated = await activate(
            new.recordHash, newKey: new.managementKey, old: old, at: prepared.vaults)
        // From t on the new registration can be used; fewer leave the old one in use.
        guard activated.vaults.count >= fleet.threshold else {
            throw failure(
                activated.problems + prepared.problems + status.problems, answered: activated.vaults.count,
                needed: needed)
        }
        let retired = await retire(
            old, by: new.managementKey, recordHash: new.recordHash, at: activated.vaults, needed: needed)
        return enrolment(
            undelivered, recordHash: new.recordHash, activated: activated.vaults,
            problems: status.problems + prepared.problems + activated.problems, certificate: retired.certificate,
            isOldRetired: retired.isDone)
    }

    /// Hands the missing vaults their shares, without a password.
    package func deliver(
        _ undelivered: UndeliveredShares, backupKey: SecretBytes
    ) async throws(EnrolmentError) -> Enrolment {
        guard let recordHash = try? undelivered.record.recordHash() else { throw .brokenMachine }
        let status = await status()
        let newKey = managementKey(
            backupKey: backupKey, registrationID: undelivered.record.header.registrationID)
        let old = undelivered.oldRegistrationID.map {
            ($0, managementKey(backupKey: backupKey, registrationID: $0))
        }
        if let certificate = undelivered.certificate {
            _ = await ask(
                status.answered.filter { holdsOld($0.reply, certificate.oldRegistrationID) }
                    .map { ($0.vault, .retire(certificate)) })
        }
        let fresh = undelivered.certificate == nil ? status : await self.status()
        let prepared = await prepare(undelivered, status: fresh, oldKey: old?.1)
        let activated = await activate(
            recordHash, newKey: newKey, old: old.map { ($0.0, $0.1) }, at: prepared.vaults)
        let others = fleet.currentVaults.filter { vault in
            !undelivered.shares.contains { $0.vaultID == vault.id }
        }
        return enrolment(
            undelivered, recordHash: recordHash, activated: others + activated.vaults,
            problems: fresh.problems + prepared.problems + activated.problems,
            certificate: undelivered.certificate, isOldRetired: true)
    }

    private func holdsOld(_ reply: StatusReply, _ id: RegistrationID) -> Bool {
        reply.held.contains { $0.registrationID == id }
    }

    private func newRegistration(
        _ backupKey: SecretBytes, _ password: SecretBytes, _ argon2: Argon2Parameters
    ) throws(EnrolmentError) -> NewRegistration {
        var generator = SystemRandomNumberGenerator()
        do throws(RegistrationError) {
            return try NewRegistration(
                backupKey: backupKey, password: password, fleet: fleet, name: name, argon2: argon2,
                using: &generator)
        } catch {
            switch error {
            case .argon2Parameters: throw .argon2Parameters
            case .argon2Unavailable: throw .notEnoughMemory
            case .inputSize: throw .passwordTooLong
            case .inconsistentShares: throw .brokenMachine
            }
        }
    }

    /// The account's registration, if this K manages it.
    private func ownRegistration(
        _ status: FleetStatus, backupKey: SecretBytes
    ) -> (registrationID: RegistrationID, managementKey: SigningKey)? {
        for (_, reply) in status.answered {
            guard let header = reply.record?.header else { continue }
            let key = managementKey(backupKey: backupKey, registrationID: header.registrationID)
            if key.verifyingKey == header.managementKey { return (header.registrationID, key) }
        }
        return nil
    }

    private func failure(_ problems: [VaultReport], answered: Int, needed: Int) -> EnrolmentError {
        let foreign = problems.filter { $0.problem == .refused(.oldKeyNeeded) }.map(\.vault)
        if foreign.count > fleet.current.count - needed { return .anotherKeyRegistered(vaults: foreign) }
        return .tooFewVaults(needed: needed, answered: answered, problems: problems)
    }

    private func enrolment(
        _ undelivered: UndeliveredShares, recordHash: RecordHash, activated: [Fleet.Vault],
        problems: [VaultReport], certificate: SuccessionCertificate?, isOldRetired: Bool
    ) -> Enrolment {
        let missing = fleet.currentVaults.filter { vault in !activated.contains(vault) }
        let shares = undelivered.shares.filter { share in missing.contains { $0.id == share.vaultID } }
        return Enrolment(
            registrationID: undelivered.record.header.registrationID, recordHash: recordHash, activated: activated,
            missing: missing.map { vault in
                problems.last { $0.vault == vault }
                    ?? VaultReport(vault: vault, problem: .unreachable("it was not asked"))
            },
            undelivered: shares.isEmpty
                ? nil
                : UndeliveredShares(
                    record: undelivered.record, shares: shares,
                    oldRegistrationID: undelivered.oldRegistrationID,
                    certificate: certificate ?? undelivered.certificate),
            isOldRetired: isOldRetired)
    }
}
