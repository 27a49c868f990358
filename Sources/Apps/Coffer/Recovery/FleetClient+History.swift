package import Primitives
package import RecoveryProtocol

/// What happened to a registration, as the vaults told the owner.
package struct FleetHistory: Sendable {
    /// An attempt that still counts, at as many vaults as it was charged at.
    package struct Charged: Sendable {
        package let attemptID: AttemptID
        package let first: Timestamp
        package let vaults: [Fleet.Vault]
    }

    package internal(set) var status: FleetStatus
    package internal(set) var answered: [(vault: Fleet.Vault, reply: HistoryReply)] = []
    package internal(set) var problems: [VaultReport] = []
    /// Vaults where somebody else's key manages the account, and since when if it came without this one's word.
    package internal(set) var foreign: [(vault: Fleet.Vault, since: Timestamp)] = []
    let threshold: Int

    package var failed: [FailedAttempts] {
        FailedAttempts.summary(of: answered.map(\.reply.entries), threshold: threshold)
    }

    /// The oldest first.
    package var charged: [Charged] {
        var found: [Charged] = []
        for (vault, reply) in answered {
            for attempt in reply.charged {
                let known = found.firstIndex { $0.attemptID == attempt.attemptID }
                let before = known.map { found.remove(at: $0) }
                found.append(
                    Charged(
                        attemptID: attempt.attemptID, first: min(before?.first ?? attempt.time, attempt.time),
                        vaults: (before?.vaults ?? []) + [vault]))
            }
        }
        return found.sorted { $0.first < $1.first }
    }

    /// The latest entry of a kind, over the vaults that answered.
    package func latest(_ kind: HistoryEntry.Kind) -> HistoryEntry? {
        answered.flatMap(\.reply.entries).filter { $0.kind == kind }.max { $0.last < $1.last }
    }
}

extension FleetClient {
    /// What K manages at a vault: the active registration, or the one whose tombstone stands.
    func managed(_ reply: StatusReply, by backupKey: SecretBytes) -> RegistrationID? {
        if let active = reply.active {
            guard let header = reply.record?.header, header.registrationID == active.registrationID else { return nil }
            return isManaged(active.registrationID, header.managementKey, by: backupKey) ? active.registrationID : nil
        }
        guard let ended = reply.ended else { return nil }
        return isManaged(ended.registrationID, ended.managementKey, by: backupKey) ? ended.registrationID : nil
    }

    private func isManaged(_ id: RegistrationID, _ key: VerifyingKey, by backupKey: SecretBytes) -> Bool {
        managementKey(backupKey: backupKey, registrationID: id).verifyingKey == key
    }

    /// Asks every vault what happened. It is also the contact that calls off what somebody asked for without the key,
    /// and thaws vaults that came back from a backup with the registration that t vaults still hold.
    package func history(backupKey: SecretBytes) async -> FleetHistory {
        let status = await status()
        await thaw(status, backupKey)
        var history = FleetHistory(status: status, threshold: fleet.threshold)
        history.problems = status.problems
        var targets: [(vault: Fleet.Vault, serial: UInt64)] = []
        for (vault, reply) in status.answered {
            if managed(reply, by: backupKey) != nil {
                targets.append((vault, reply.serial))
            } else if reply.active != nil || reply.changedWithoutKey.unixSeconds > 0 {
                history.foreign.append((vault, reply.changedWithoutKey))
            }
        }
        let answers = await signedOperation(at: targets) { context in
            guard let reply = status.reply(of: context.vaultID), let id = managed(reply, by: backupKey),
                let bytes = try? SignedBytes.history(context, registrationID: id)
            else { return nil }
            let key = managementKey(backupKey: backupKey, registrationID: id)
            return .history(
                HistoryRequest(serial: context.serial, registrationID: id, signature: key.sign(bytes)))
        }
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .history(let reply) = try answer.accepted() else { throw .misbehaves(.garbage) }
                history.answered.append((vault, reply))
            } catch { history.problems.append(VaultReport(vault: vault, problem: error)) }
        }
        return history
    }

    /// Gives back the attempts that the person, shown their times, called their own.
    package func forgive(
        _ attempts: [AttemptID], backupKey: SecretBytes, history: FleetHistory
    ) async -> (forgiven: [Fleet.Vault], problems: [VaultReport]) {
        let targets = history.answered.compactMap { vault, reply -> (vault: Fleet.Vault, serial: UInt64)? in
            guard reply.charged.contains(where: { attempts.contains($0.attemptID) }) else { return nil }
            return (vault, reply.serial)
        }
        let answers = await signedOperation(at: targets) { context in
            guard let active = history.status.reply(of: context.vaultID)?.active?.registrationID,
                let charged = history.answered.first(where: { $0.vault.id == context.vaultID })?.reply.charged
            else { return nil }
            let listed = charged.map(\.attemptID).filter(attempts.contains)
            guard let bytes = try? SignedBytes.forgive(context, registrationID: active, attempts: listed) else {
                return nil
            }
            let key = managementKey(backupKey: backupKey, registrationID: active)
            return .forgive(
                ForgiveRequest(
                    serial: context.serial, registrationID: active, attempts: listed, signature: key.sign(bytes)))
        }
        var forgiven: [Fleet.Vault] = []
        var problems: [VaultReport] = []
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .forgiven = try answer.accepted() else { throw .misbehaves(.garbage) }
                forgiven.append(vault)
            } catch { problems.append(VaultReport(vault: vault, problem: error)) }
        }
        return (forgiven, problems)
    }

    /// A vault that came back from a backup may hold a registration that was replaced since: only the one that t vaults
    /// call active is thawed.
    func thaw(_ status: FleetStatus, _ backupKey: SecretBytes) async {
        let targets = status.answered.compactMap { vault, reply -> (vault: Fleet.Vault, serial: UInt64)? in
            guard reply.frozen != nil, managed(reply, by: backupKey) != nil, let active = reply.active else {
                return nil
            }
            let holders = status.answered.count { $0.reply.active?.recordHash == active.recordHash }
            return holders >= fleet.threshold ? (vault, reply.serial) : nil
        }
        guard !targets.isEmpty else { return }
        _ = await signedOperation(at: targets) { context in
            guard let reply = status.reply(of: context.vaultID), let nonce = reply.frozen,
                let id = reply.active?.registrationID,
                let bytes = try? SignedBytes.thaw(context, registrationID: id, nonce: nonce)
            else { return nil }
            let key = managementKey(backupKey: backupKey, registrationID: id)
            return .thaw(
                ThawRequest(
                    serial: context.serial, registrationID: id, nonce: nonce, signature: key.sign(bytes)))
        }
    }
}
