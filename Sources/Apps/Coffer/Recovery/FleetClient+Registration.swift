package import Primitives
package import RecoveryProtocol

/// Why K is not behind the password. An earlier registration, if there is one, still works.
package enum EnrolmentError: Error, Sendable {
    /// Fewer vaults than a registration needs took part; each that did not is named. Run it again with the same K.
    case tooFewVaults(needed: Int, answered: Int, problems: [VaultReport])
    /// So many vaults did not accept the sign-in, or got none, that the others are too few.
    case signIn(SignInFault)
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
    /// Vaults that are known to have it: they said so now.
    package let activated: [Fleet.Vault]
    /// Vaults that do not have their share yet, and why. Until there are none, the person is protected, but not
    /// against the failure of n−t vaults.
    package let missing: [VaultReport]
    /// To keep, sealed under K, and to deliver later; the same file takes its place. Nil when there is nothing left to
    /// deliver: every share was, or another registration has taken this one's place. Whatever was kept goes then.
    package let undelivered: UndeliveredShares?
    /// Vaults hold another key's registration, and this one takes its place from this time on, unless the other key is
    /// heard of. Until then it is not in use.
    package let waitsUntil: Timestamp?
}

extension FleetClient {
    /// Puts K behind a password. K must be safe on disk before: an interrupted registration is continued by whoever
    /// holds K, and by nobody else. `withoutOldKey` asks vaults that hold another key's registration to replace it after
    /// the tenant's delay.
    ///
    /// `missing` and `undelivered` of what comes back matter even where `register` only mends an earlier registration:
    /// the shares of vaults that are down now are in `undelivered` and nowhere else.
    package func register(
        backupKey: SecretBytes, password: SecretBytes, argon2: Argon2Parameters = .standard,
        withoutOldKey: Bool = false
    ) async throws(EnrolmentError) -> Enrolment {
        var status = await statusForChange()
        guard status.answered.count >= needed else {
            throw failure(status.problems, answered: status.answered.count)
        }
        let new = try newRegistration(backupKey, password, argon2)
        let shares = new.record.header.holders.compactMap { holder in
            new.share(for: holder.vaultID).map {
                UndeliveredShares.Share(vaultID: holder.vaultID, value: $0)
            }
        }
        let change = Change(
            record: new.record, recordHash: new.recordHash, shares: shares, backupKey: backupKey,
            certificates: certificates(to: new, backupKey: backupKey, status: status))
        if !withoutOldKey { status.leaveOut(change.isForeign, because: .refused(.oldKeyNeeded)) }
        let prepared = await prepare(change, status: status)
        guard prepared.vaults.count >= needed else {
            throw failure(prepared.problems + status.problems, answered: prepared.vaults.count)
        }
        let activated = await activate(change, at: prepared.vaults, status: status)
        let problems = status.problems + prepared.problems + activated.problems
        let waiting = activated.problems.count { if case .waiting = $0.problem { true } else { false } }
        // From t on the new registration can be used; fewer leave the old one in use.
        guard activated.vaults.count + waiting >= fleet.threshold else {
            throw failure(problems, answered: activated.vaults.count)
        }
        await retire(change, at: activated.vaults, status: status)
        let missing = fleet.currentVaults.filter { !activated.vaults.contains($0) }
        return enrolment(change, activated: activated.vaults, missing: missing, problems: problems)
    }

    /// What ends every registration of this K that a vault still has, the one in use last, and whatever ended earlier ones: a
    /// vault that missed several changes is brought up to date with it.
    private func certificates(
        to new: NewRegistration, backupKey: SecretBytes, status: FleetStatus
    ) -> [SuccessionCertificate] {
        var olds: [RegistrationID] = []
        let own = status.answered.filter { !$0.reply.isActiveForeign(to: backupKey) }
        for held in own.flatMap(\.reply.held) where [.active, .previous].contains(held.role) {
            if !olds.contains(held.registrationID) { olds.append(held.registrationID) }
        }
        if let inUse = status.registration?.view.header.registrationID, olds.contains(inUse) {
            olds.removeAll { $0 == inUse }
            olds.append(inUse)
        }
        let newKey = managementKey(backupKey: backupKey, registrationID: new.record.header.registrationID)
        let ending = olds.compactMap { old in
            try? SuccessionCertificate(
                fleetID: fleet.id, name: name, oldRegistrationID: old, newRecordHash: new.recordHash,
                oldKey: managementKey(backupKey: backupKey, registrationID: old), newKey: newKey)
        }
        let earlier = certificates(shownIn: status, backupKey: backupKey).filter { certificate in
            !olds.contains(certificate.oldRegistrationID)
        }
        return (earlier + ending).suffix(UndeliveredShares.certificatesMax)
    }

    /// Certificates in the vaults' Status that this K signed.
    func certificates(shownIn status: FleetStatus, backupKey: SecretBytes) -> [SuccessionCertificate] {
        var found: [SuccessionCertificate] = []
        for certificate in status.answered.flatMap(\.reply.certificates) where !found.contains(certificate) {
            let oldKey = managementKey(backupKey: backupKey, registrationID: certificate.oldRegistrationID)
            let isValid = try? certificate.isValid(
                fleetID: fleet.id, name: name, oldManagementKey: oldKey.verifyingKey)
            if isValid == true { found.append(certificate) }
        }
        return found
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

    private func failure(_ problems: [VaultReport], answered: Int) -> EnrolmentError {
        let foreign = problems.filter {
            [.refused(.oldKeyNeeded), .refused(.badSignature)].contains($0.problem)
        }.map(\.vault)
        if foreign.count > fleet.current.count - needed { return .anotherKeyRegistered(vaults: foreign) }
        if let fault = SignInFault(problems, vaults: fleet.current.count, needed: needed) { return .signIn(fault) }
        return .tooFewVaults(needed: needed, answered: answered, problems: problems)
    }

    /// How things stand after a change.
    func enrolment(
        _ change: Change, activated: [Fleet.Vault], missing: [Fleet.Vault], problems: [VaultReport]
    ) -> Enrolment {
        let shares = change.shares.filter { share in missing.contains { $0.id == share.vaultID } }
        return Enrolment(
            registrationID: change.registrationID, recordHash: change.recordHash, activated: activated,
            missing: missing.map { vault in
                problems.last { $0.vault == vault } ?? VaultReport(vault: vault, problem: .timedOut)
            },
            undelivered: shares.isEmpty
                ? nil
                : UndeliveredShares(record: change.record, shares: shares, certificates: change.certificates),
            waitsUntil: waitsUntil(problems, activated: activated.count))
    }

    /// When t vaults will have the registration; nil if they have it.
    private func waitsUntil(_ problems: [VaultReport], activated: Int) -> Timestamp? {
        let times = problems.compactMap { report in
            if case .waiting(let until) = report.problem { until } else { nil }
        }.sorted()
        let lacking = fleet.threshold - activated
        guard lacking > 0 else { return nil }
        return times.count >= lacking ? times[lacking - 1] : times.last
    }
}
