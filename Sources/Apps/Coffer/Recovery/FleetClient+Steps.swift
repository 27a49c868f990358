import Primitives
import RecoveryProtocol

/// A registration on its way to the vaults.
struct Change: Sendable {
    let record: PublicRecord
    let recordHash: RecordHash
    /// Those to hand out.
    let shares: [UndeliveredShares.Share]
    let managers: Managers
    /// What ends the registrations that this one replaces, the latest last.
    let certificates: [SuccessionCertificate]

    var registrationID: RegistrationID { record.header.registrationID }

    var name: RegistrationName { RegistrationName(id: registrationID, recordHash: recordHash) }

    var newKey: SigningKey { managers.key(registrationID) }

    /// The key that manages an earlier registration. After a change that was cut short, vaults have different ones.
    func oldKey(_ id: RegistrationID) -> SigningKey { managers.key(id) }

    /// What this vault has to give up; nil if it has nothing, or the new registration already.
    func oldRegistration(_ reply: StatusReply?) -> RegistrationID? {
        if let active = reply?.active {
            return active.registrationID == registrationID || isForeign(reply) ? nil : active.registrationID
        }
        return reply?.ended.flatMap { managing($0) }
    }

    /// Whether another key manages what this vault has: then the new registration can only wait there.
    func isForeign(_ reply: StatusReply?) -> Bool {
        guard let reply else { return false }
        if reply.active != nil { return reply.isActiveForeign(to: managers) }
        guard let ended = reply.ended else { return false }
        // Where a certificate names this registration as the successor, no other key's word is wanted.
        return ended.managementKey != newKey.verifyingKey && managing(ended) == nil
    }

    /// A tombstone wants the word of the key whose registration ended there or, where a certificate ended it, of its
    /// successor's, most likely the one that is replaced now.
    private func managing(_ ended: EndedRegistration) -> RegistrationID? {
        let known = [ended.registrationID] + certificates.reversed().map(\.oldRegistrationID)
        return known.first { oldKey($0).verifyingKey == ended.managementKey }
    }
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
            change.shares.contains { $0.vaultID == answered.vault.id }
        }
        let answers = await signedOperation(at: targets.map { ($0.vault, $0.reply.serial) }) { context in
            guard let share = change.shares.first(where: { $0.vaultID == context.vaultID }) else { return nil }
            let old = change.oldRegistration(status.reply(of: context.vaultID))
            let replacement = old.flatMap { old -> Replacement? in
                let bytes = try? SignedBytes.prepare(
                    context, oldRegistrationID: old, newRecordHash: change.recordHash)
                return bytes.map { Replacement(oldRegistrationID: old, signature: change.oldKey(old).sign($0)) }
            }
            return .prepare(
                PrepareRequest(
                    serial: context.serial, record: change.record, share: share.value,
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

    /// Where a change was begun on top of what stands, and not finished, takes it back: the next Activate would push
    /// out what stands. A vault that does not say that it did stays out of the change.
    func takeBack(
        _ succession: Succession, besides new: RegistrationName? = nil, at prepared: inout Done, status: FleetStatus
    ) async -> [VaultID] {
        var questions: [(vault: Fleet.Vault, operation: Operation)] = []
        for (vault, _) in prepared.vaults {
            guard let begun = status.reply(of: vault.id).flatMap(succession.begun(at:)), begun != new?.id,
                let certificate = succession.takingBack(begun)
            else { continue }
            questions.append((vault, .retire(certificate)))
        }
        guard !questions.isEmpty else { return [] }
        var takenBack: [VaultID] = []
        for (vault, answer) in await ask(questions) {
            let position = prepared.vaults.firstIndex { $0.vault == vault }
            do throws(VaultProblem) {
                guard case .retired(let serial) = try answer.accepted() else { throw .misbehaves(.garbage) }
                if let position { prepared.vaults[position].serial = serial }
                takenBack.append(vault.id)
            } catch {
                if let position { prepared.vaults.remove(at: position) }
                prepared.problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        return takenBack
    }

    /// `takenBack`: vaults where what stands is active again, whatever their Status said before.
    func activate(
        _ change: Change, at vaults: [(vault: Fleet.Vault, serial: UInt64)], status: FleetStatus,
        standing: RegistrationName?, takenBack: [VaultID]
    ) async -> (vaults: [Fleet.Vault], problems: [VaultReport]) {
        let newKey = change.newKey
        let answers = await signedOperation(at: vaults) { context in
            guard let bytes = try? SignedBytes.activate(context, recordHash: change.recordHash) else { return nil }
            let old =
                takenBack.contains(context.vaultID)
                ? standing?.id : change.oldRegistration(status.reply(of: context.vaultID))
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

    /// Ends every earlier registration, once all vaults have said that they have the new one. False if one may be left.
    func retire(_ change: Change, at vaults: [Fleet.Vault], status: FleetStatus, takenBack: [VaultID]) async -> Bool {
        var isDone = true
        // One after the other: each changes the vault's record.
        for certificate in change.certificates {
            let old = certificate.oldRegistrationID
            let holders = vaults.filter { vault in
                guard let reply = status.reply(of: vault.id) else { return true }
                if takenBack.contains(vault.id), reply.active?.registrationID == old { return false }
                return reply.evaluable.contains { $0.id == old }
            }
            for (_, answer) in await ask(holders.map { ($0, .retire(certificate)) }) {
                switch answer {
                case .success(.retired), .success(.refused(.unknownRegistration)), .success(.refused(.notRegistered)),
                    .success(.refused(.destroyed)):
                    continue
                default: isDone = false
                }
            }
        }
        return isDone
    }
}
