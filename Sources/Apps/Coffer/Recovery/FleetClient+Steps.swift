import Primitives
import RecoveryProtocol

/// The steps of a registration, each at every vault at once.
extension FleetClient {
    typealias OldRegistration = (registrationID: RegistrationID, managementKey: SigningKey)

    /// Vaults that did their part, each with the account's serial there now.
    struct Done {
        var vaults: [(vault: Fleet.Vault, serial: UInt64)] = []
        var problems: [VaultReport] = []
    }

    struct Activated {
        var vaults: [Fleet.Vault] = []
        var problems: [VaultReport] = []
    }

    func prepare(_ shares: UndeliveredShares, status: FleetStatus, oldKey: SigningKey?) async -> Done {
        let hash = try? shares.record.recordHash()
        let vaults = status.answered.filter { answered in
            shares.shares.contains { $0.vaultID == answered.vault.id }
        }
        let answers = await signedOperation(at: vaults.map { ($0.vault, $0.reply.serial) }) { context in
            guard let hash, let share = shares.shares.first(where: { $0.vaultID == context.vaultID }) else {
                return nil
            }
            // Only where there is something to replace: elsewhere the old registration means nothing.
            let replacement = oldKey.flatMap { key -> Replacement? in
                guard let old = shares.oldRegistrationID,
                    status.reply(of: context.vaultID)?.held.contains(where: { $0.registrationID == old }) == true,
                    let bytes = try? SignedBytes.prepare(context, oldRegistrationID: old, newRecordHash: hash)
                else { return nil }
                return Replacement(oldRegistrationID: old, signature: key.sign(bytes))
            }
            return .prepare(
                PrepareRequest(
                    serial: context.serial, record: shares.record, share: share.value, replacement: replacement))
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
        _ recordHash: RecordHash, newKey: SigningKey, old: OldRegistration?,
        at vaults: [(vault: Fleet.Vault, serial: UInt64)]
    ) async -> Activated {
        let answers = await signedOperation(at: vaults) { context in
            guard let bytes = try? SignedBytes.activate(context, recordHash: recordHash) else { return nil }
            let replacement = old.flatMap { old -> Replacement? in
                let bytes = try? SignedBytes.replace(
                    context, oldRegistrationID: old.registrationID, newRecordHash: recordHash)
                return bytes.map {
                    Replacement(
                        oldRegistrationID: old.registrationID, signature: old.managementKey.sign($0))
                }
            }
            return .activate(
                ActivateRequest(
                    serial: context.serial, recordHash: recordHash, signature: newKey.sign(bytes),
                    replacement: replacement))
        }
        var activated = Activated()
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .activated = try answer.accepted() else { throw .misbehaves(.garbage) }
                activated.vaults.append(vault)
            } catch {
                activated.problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        return activated
    }

    /// Retires the old registration once enough vaults have the new one, and says whether they did.
    func retire(
        _ old: OldRegistration?, by newKey: SigningKey, recordHash: RecordHash, at vaults: [Fleet.Vault], needed: Int
    ) async -> (certificate: SuccessionCertificate?, isDone: Bool) {
        guard let old else { return (nil, true) }
        guard vaults.count >= needed,
            let certificate = try? SuccessionCertificate(
                fleetID: fleet.id, name: name, oldRegistrationID: old.registrationID, newRecordHash: recordHash,
                oldKey: old.managementKey, newKey: newKey)
        else { return (nil, false) }
        let answers = await ask(vaults.map { ($0, .retire(certificate)) })
        let retired = answers.count { _, answer in
            if case .success(.retired) = answer { return true }
            return false
        }
        return (certificate, retired >= fleet.threshold)
    }
}
