import Primitives
import RecoveryProtocol

/// A registration on its way to the vaults.
struct Change: Sendable {
    let shares: UndeliveredShares
    let recordHash: RecordHash
    let backupKey: SecretBytes
    /// The registration that is replaced, if its K was another one.
    let explicitOld: (registrationID: RegistrationID, managementKey: SigningKey)?

    var registrationID: RegistrationID { shares.record.header.registrationID }

    var newKey: SigningKey { managementKey(backupKey: backupKey, registrationID: registrationID) }

    /// The key that manages an earlier registration. After a change that was cut short, vaults have different ones.
    func oldKey(_ id: RegistrationID) -> SigningKey {
        if let explicitOld, explicitOld.registrationID == id { return explicitOld.managementKey }
        return managementKey(backupKey: backupKey, registrationID: id)
    }

    /// What this vault has to give up; nil if it has nothing, or the new registration already.
    func oldRegistration(_ reply: StatusReply?) -> RegistrationID? {
        guard let active = reply?.active else {
            if case .destroyed = reply?.state, let explicitOld { return explicitOld.registrationID }
            return reply?.ended.flatMap { isOwn($0.registrationID, $0.managementKey) ? $0.registrationID : nil }
        }
        return active.registrationID == registrationID || isForeign(reply) ? nil : active.registrationID
    }

    /// Whether another key manages what this vault has: then the new registration can only wait there.
    func isForeign(_ reply: StatusReply?) -> Bool {
        if let active = reply?.active, let header = reply?.record?.header {
            return header.registrationID == active.registrationID && !isOwn(active.registrationID, header.managementKey)
        }
        guard let ended = reply?.ended else { return false }
        return explicitOld?.registrationID != ended.registrationID && !isOwn(ended.registrationID, ended.managementKey)
    }

    private func isOwn(_ id: RegistrationID, _ key: VerifyingKey) -> Bool { oldKey(id).verifyingKey == key }
}

extension StatusReply {
    var active: HeldRecord? { held.first { $0.role == .active } }
}

/// The steps of a registration, each at every vault at once.
extension FleetClient {
    /// Vaults that did their part, each with the account's serial there now.
    struct Done {
        var vaults: [(vault: Fleet.Vault, serial: UInt64)] = []
        var problems: [VaultReport] = []
    }

    func prepare(_ change: Change, status: FleetStatus) async -> Done {
        let targets = status.answered.filter { answered in
            change.shares.shares.contains { $0.vaultID == answered.vault.id }
        }
        let answers = await signedOperation(at: targets.map { ($0.vault, $0.reply.serial) }) { context in
            guard let share = change.shares.shares.first(where: { $0.vaultID == context.vaultID }) else { return nil }
            let old = change.oldRegistration(status.reply(of: context.vaultID))
            let replacement = old.flatMap { old -> Replacement? in
                let bytes = try? SignedBytes.prepare(
                    context, oldRegistrationID: old, newRecordHash: change.recordHash)
                return bytes.map { Replacement(oldRegistrationID: old, signature: change.oldKey(old).sign($0)) }
            }
            return .prepare(
                PrepareRequest(
                    serial: context.serial, record: change.shares.record, share: share.value,
                    replacement: replacement))
        }
        var done = Done()
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .prepared(let serial) = try answer.accepted() else { throw .misbehaves(.garbage) }
                done.vaults.append((vault, serial))
            } catch {
                done.problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        return done
    }

    func activate(
        _ change: Change, at vaults: [(vault: Fleet.Vault, serial: UInt64)], status: FleetStatus
    ) async -> (vaults: [Fleet.Vault], problems: [VaultReport]) {
        let newKey = change.newKey
        let answers = await signedOperation(at: vaults) { context in
            guard let bytes = try? SignedBytes.activate(context, recordHash: change.recordHash) else { return nil }
            let old = change.oldRegistration(status.reply(of: context.vaultID))
            let replacement = old.flatMap { old -> Replacement? in
                let bytes = try? SignedBytes.replace(
                    context, oldRegistrationID: old, newRecordHash: change.recordHash)
                return bytes.map { Replacement(oldRegistrationID: old, signature: change.oldKey(old).sign($0)) }
            }
            return .activate(
                ActivateRequest(
                    serial: context.serial, recordHash: change.recordHash, signature: newKey.sign(bytes),
                    replacement: replacement))
        }
        var activated: [Fleet.Vault] = []
        var problems: [VaultReport] = []
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                switch try answer.accepted() {
                case .activated: activated.append(vault)
                case .waiting(_, let allowed): throw .waiting(until: allowed)
                default: throw .misbehaves(.garbage)
                }
            } catch {
                problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        return (activated, problems)
    }

    /// Retires every earlier registration that a vault still had, once enough vaults have the new one. Says whether
    /// that is done at all of these vaults.
    func retire(
        _ change: Change, at vaults: [Fleet.Vault], status: FleetStatus, needed: Int
    ) async -> (certificates: [SuccessionCertificate], isDone: Bool) {
        var olds: [RegistrationID] = []
        for held in status.answered.filter({ !change.isForeign($0.reply) }).flatMap(\.reply.held)
        where [.active, .previous].contains(held.role) && held.registrationID != change.registrationID {
            if !olds.contains(held.registrationID) { olds.append(held.registrationID) }
        }
        guard !olds.isEmpty else { return ([], true) }
        guard vaults.count >= needed else { return ([], false) }
        let certificates = olds.compactMap { old in
            try? SuccessionCertificate(
                fleetID: fleet.id, name: name, oldRegistrationID: old, newRecordHash: change.recordHash,
                oldKey: change.oldKey(old), newKey: change.newKey)
        }
        var isDone = certificates.count == olds.count
        // One after the other: each changes the vault's record.
        for certificate in certificates {
            let holders = vaults.filter { vault in
                status.reply(of: vault.id)?.held.contains {
                    $0.registrationID == certificate.oldRegistrationID
                } == true
            }
            for (_, answer) in await ask(holders.map { ($0, .retire(certificate)) }) {
                // A vault that has lost it already knows nothing of it.
                switch answer {
                case .success(.retired), .success(.refused(.unknownRegistration)): continue
                default: isDone = false
                }
            }
        }
        return (certificates, isDone)
    }
}
