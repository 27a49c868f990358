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
    /// What must be written down before the next step could not be. What was registered stays.
    case notNoted
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
    /// To keep, sealed under K, and to deliver later; the same file takes its place. Without shares: all have theirs, and
    /// what this one replaces has not ended everywhere. Nil when nothing is left to do, or another registration has
    /// taken this one's place. Whatever was kept goes then.
    package let undelivered: UndeliveredShares?
    /// Vaults hold another key's registration, and this one takes its place from this time on, unless the other key is
    /// heard of. Until then it is not in use.
    package let waitsUntil: Timestamp?
}

/// What a device writes down at once, for it may die before the next step.
package enum RegistrationNote: Sendable {
    /// A registration is about to become active. Shares that are kept of an earlier one must go: to deliver them would
    /// end the new one.
    case begins
    /// This registration must not be lost from now on. What it takes the place of may have ended anywhere.
    case stands(RegistrationName)
}

/// What a device remembers of its registrations. One that remembers nothing goes by the vaults' word.
package struct RegistrationNotes: Sendable {
    let standing: RegistrationName?
    let write: @Sendable (RegistrationNote) throws -> Void

    package init(
        standing: RegistrationName? = nil, write: @escaping @Sendable (RegistrationNote) throws -> Void = { _ in }
    ) {
        self.standing = standing
        self.write = write
    }
}

extension FleetClient {
    /// Puts K behind a password. K must be safe on disk before: an interrupted registration is continued by whoever
    /// holds K, and by nobody else. `earlierKeys` are those that this K takes the place of: their registrations end by their
    /// word, as one of this K would. `withoutOldKey` asks vaults that hold another key's registration to replace it after
    /// the tenant's delay.
    ///
    /// An earlier registration ends when all vaults have acknowledged the new one, and not before: with t−1 liars among
    /// them, fewer can be fewer than t honest ones (`Succession`). Until then its password opens K, too, under the same
    /// count of attempts.
    ///
    /// `missing` and `undelivered` of what comes back matter even where `register` only mends an earlier registration:
    /// the shares of vaults that are down now are in `undelivered` and nowhere else.
    package func register(
        backupKey: SecretBytes, earlierKeys: [SecretBytes] = [], password: SecretBytes,
        argon2: Argon2Parameters = .standard, withoutOldKey: Bool = false,
        notes: RegistrationNotes = RegistrationNotes()
    ) async throws(EnrolmentError) -> Enrolment {
        var status = await statusForChange()
        guard status.answered.count >= needed else {
            throw failure(status.problems, answered: status.answered.count)
        }
        let managers = await managers(backupKey, earlierKeys, status)
        let succession = succession(status, managers, notes)
        let change = change(to: try newRegistration(backupKey, password, argon2), managers, succession)
        if !withoutOldKey { status.leaveOut(change.isForeign, because: .refused(.oldKeyNeeded)) }
        var prepared = await prepare(change, status: status)
        guard prepared.vaults.count >= needed else {
            throw failure(prepared.problems + status.problems, answered: prepared.vaults.count)
        }
        guard (try? notes.write(.begins)) != nil else { throw .notNoted }
        let takenBack = await takeBack(succession, at: &prepared, status: status)
        guard prepared.vaults.count >= needed else {
            throw failure(prepared.problems + status.problems, answered: prepared.vaults.count)
        }
        let activated = await activate(
            change, at: prepared.vaults, status: status, standing: succession.standing, takenBack: takenBack)
        let problems = status.problems + prepared.problems + activated.problems
        let waiting = activated.problems.count { if case .waiting = $0.problem { true } else { false } }
        // From t on the new registration can be used; fewer leave the old one in use.
        guard activated.vaults.count + waiting >= fleet.threshold else {
            throw failure(problems, answered: activated.vaults.count)
        }
        let isDone = await settle(
            change, at: activated.vaults, succession, status: status, takenBack: takenBack, notes: notes)
        let missing = fleet.currentVaults.filter { !activated.vaults.contains($0) }
        return enrolment(change, activated: activated.vaults, missing: missing, problems: problems, isDone: isDone)
    }

    /// Which registration must not be lost, by what the vaults say and this device noted.
    func succession(_ status: FleetStatus, _ managers: Managers, _ notes: RegistrationNotes) -> Succession {
        Succession(
            status.answered.map(\.reply), fleet: fleet, name: name, managers: managers, noted: notes.standing)
    }

    /// Who manages what the vaults hold. Status shows the record of what is active; where an earlier K may manage something
    /// that is not, the vaults that hold it are asked for it.
    func managers(_ backupKey: SecretBytes, _ earlierKeys: [SecretBytes], _ status: FleetStatus) async -> Managers {
        guard !earlierKeys.isEmpty else { return Managers(current: backupKey) }
        var headers = status.answered.compactMap(\.reply.record?.header)
        let shown = headers.map(\.registrationID)
        let questions = status.answered.flatMap { vault, reply in
            reply.evaluable.filter { !shown.contains($0.id) }.map { held in
                (vault: vault, operation: Operation.status(StatusRequest(registrationID: held.id)))
            }
        }
        for (_, answer) in await ask(questions) {
            guard case .success(.status(let reply)) = answer, let header = reply.record?.header else { continue }
            headers.append(header)
        }
        let ended = status.answered.compactMap(\.reply.ended).map { (id: $0.registrationID, key: $0.managementKey) }
        return Managers(
            current: backupKey, earlier: earlierKeys,
            shown: headers.map { (id: $0.registrationID, key: $0.managementKey) } + ended)
    }

    private func change(to new: NewRegistration, _ managers: Managers, _ succession: Succession) -> Change {
        let shares = new.record.header.holders.compactMap { holder in
            new.share(for: holder.vaultID).map {
                UndeliveredShares.Share(vaultID: holder.vaultID, value: $0)
            }
        }
        let name = RegistrationName(id: new.record.header.registrationID, recordHash: new.recordHash)
        return Change(
            record: new.record, recordHash: new.recordHash, shares: shares, managers: managers,
            certificates: succession.certificates(for: name).suffix(UndeliveredShares.certificatesMax))
    }

    /// Notes what stands now, and ends what does not, if that is certain. False if something is left to be ended.
    func settle(
        _ change: Change, at activated: [Fleet.Vault], _ succession: Succession, status: FleetStatus,
        takenBack: [VaultID], notes: RegistrationNotes
    ) async -> Bool {
        let standing = succession.standing(after: change.name, acknowledged: activated.count)
        if let standing, standing == change.name {
            // Unless it is written down, this device would take for unfinished what may have ended the other one.
            guard (try? notes.write(.stands(standing))) != nil else { return false }
        }
        guard succession.isComplete(acknowledged: activated.count) else { return change.certificates.isEmpty }
        return await retire(change, at: activated, status: status, takenBack: takenBack)
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
        _ change: Change, activated: [Fleet.Vault], missing: [Fleet.Vault], problems: [VaultReport], isDone: Bool
    ) -> Enrolment {
        let shares = change.shares.filter { share in missing.contains { $0.id == share.vaultID } }
        return Enrolment(
            registrationID: change.registrationID, recordHash: change.recordHash, activated: activated,
            missing: missing.map { vault in
                problems.last { $0.vault == vault } ?? VaultReport(vault: vault, problem: .timedOut)
            },
            undelivered: shares.isEmpty && isDone
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
