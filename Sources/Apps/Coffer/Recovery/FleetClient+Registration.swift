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
    /// Vaults hold another key's registration, and this one takes its place from this time on, unless the other key is
    /// heard of. Until then it is not in use.
    package let waitsUntil: Timestamp?
}

extension FleetClient {
    /// Puts K behind a password. K must be safe on disk before: an interrupted registration is continued by whoever
    /// holds K, and by nobody else. `old` manages the registration that is replaced, if its K was another one.
    /// `withoutOldKey` asks vaults that hold another key's registration to replace it after the tenant's delay.
    package func register(
        backupKey: SecretBytes, password: SecretBytes, argon2: Argon2Parameters = .standard,
        replacing old: (registrationID: RegistrationID, managementKey: SigningKey)? = nil,
        withoutOldKey: Bool = false
    ) async throws(EnrolmentError) -> Enrolment {
        var status = await status()
        guard status.answered.count >= needed else {
            throw .tooFewVaults(needed: needed, answered: status.answered.count, problems: status.problems)
        }
        let new = try newRegistration(backupKey, password, argon2)
        let shares = new.record.header.holders.compactMap { holder in
            new.share(for: holder.vaultID).map {
                UndeliveredShares.Share(vaultID: holder.vaultID, value: $0)
            }
        }
        let change = Change(
            shares: UndeliveredShares(record: new.record, shares: shares, certificates: []),
            recordHash: new.recordHash, backupKey: backupKey, explicitOld: old)
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
        return await finish(change, activated: activated.vaults, problems: problems, status: status)
    }

    /// Hands the missing vaults their shares, without a password.
    package func deliver(
        _ undelivered: UndeliveredShares, backupKey: SecretBytes
    ) async throws(EnrolmentError) -> Enrolment {
        guard let recordHash = try? undelivered.record.recordHash() else { throw .brokenMachine }
        let change = Change(
            shares: undelivered, recordHash: recordHash, backupKey: backupKey, explicitOld: nil)
        // A certificate makes room where the old registration's key is no longer at hand.
        let before = await status()
        _ = await ask(
            undelivered.certificates.flatMap { certificate in
                before.answered.filter { $0.reply.active?.registrationID == certificate.oldRegistrationID }
                    .map { ($0.vault, Operation.retire(certificate)) }
            })
        let status = await status()
        let prepared = await prepare(change, status: status)
        let activated = await activate(change, at: prepared.vaults, status: status)
        let already = status.answered.filter { $0.reply.active?.recordHash == recordHash }.map(\.vault)
        // Those that are neither asked nor reached had the share before.
        let others = fleet.currentVaults.filter { vault in
            !already.contains(vault) && !undelivered.shares.contains { $0.vaultID == vault.id }
        }
        return await finish(
            change, activated: others + already.filter { !activated.vaults.contains($0) } + activated.vaults,
            problems: status.problems + prepared.problems + activated.problems, status: status)
    }

    /// How many vaults must take part in a change: one more than t, so that the loss of one right after it does not
    /// take K away.
    private var needed: Int { min(fleet.current.count, fleet.threshold + 1) }

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
        return .tooFewVaults(needed: needed, answered: answered, problems: problems)
    }

    /// Retires what was replaced, if enough vaults have the new registration, and says how things stand.
    private func finish(
        _ change: Change, activated: [Fleet.Vault], problems: [VaultReport], status: FleetStatus
    ) async -> Enrolment {
        let retired = await retire(change, at: activated, status: status, needed: needed)
        let missing = fleet.currentVaults.filter { vault in !activated.contains(vault) }
        let shares = change.shares.shares.filter { share in missing.contains { $0.id == share.vaultID } }
        return Enrolment(
            registrationID: change.registrationID, recordHash: change.recordHash, activated: activated,
            missing: missing.map { vault in
                problems.last { $0.vault == vault }
                    ?? VaultReport(vault: vault, problem: .unreachable("it was not asked"))
            },
            undelivered: shares.isEmpty
                ? nil
                : UndeliveredShares(
                    record: change.shares.record, shares: shares,
                    certificates: change.shares.certificates + retired.certificates),
            isOldRetired: retired.isDone, waitsUntil: waitsUntil(problems, activated: activated.count))
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
