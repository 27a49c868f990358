package import Primitives
package import RecoveryProtocol

/// What the vaults keep of what devices said of their newest backup.
package struct FleetHeads: Sendable {
    package struct Answer: Sendable {
        package let vault: Fleet.Vault
        package let kept: KeptHead?
        let serial: UInt64
        let registrationID: RegistrationID
    }

    package internal(set) var answers: [Answer] = []
    package internal(set) var problems: [VaultReport] = []

    package var heads: [SealedHead] { answers.compactMap { $0.kept?.head } }

    /// r: those that came back from a backup may have forgotten a later head, and do not count.
    package var countingAnswers: Int { answers.count { $0.kept?.isRestored != true } }
}

extension FleetClient {
    /// Asks every vault that holds a registration of this K for its head, and thaws those that came back from a backup as
    /// `history` does. Never charged.
    package func heads(backupKey: SecretBytes) async -> FleetHeads {
        let status = await status()
        await thaw(status, backupKey)
        var heads = FleetHeads()
        heads.problems = status.problems
        var targets: [Target] = []
        for (vault, reply) in status.answered {
            guard reply.active != nil, let id = managed(reply, by: backupKey) else { continue }
            targets.append((vault, reply.serial, id))
        }
        await getHeads(at: targets, backupKey, into: &heads)
        return heads
    }

    /// Has the vaults keep a head, but for those that have one that is as new.
    ///
    /// - Returns: the vaults that said that they keep it, or one that is as new.
    package func setHead(
        _ head: SealedHead, backupKey: SecretBytes, unlessNewer isAsNew: (SealedHead) -> Bool
    ) async -> (acknowledged: [Fleet.Vault], problems: [VaultReport]) {
        var seen = await heads(backupKey: backupKey)
        var acknowledged: [Fleet.Vault] = []
        var problems: [VaultReport] = []
        for round in 1...Self.roundsMax {
            problems += seen.problems
            let lacking = seen.answers.filter { answer in !(answer.kept.map { isAsNew($0.head) } ?? false) }
            acknowledged += seen.answers.map(\.vault).filter { vault in !lacking.contains { $0.vault == vault } }
            var moved: [Target] = []
            for (vault, answer) in await set(head, at: lacking, backupKey) {
                do throws(VaultProblem) {
                    guard case .headSet = try answer.accepted() else { throw .misbehaves(.garbage) }
                    acknowledged.append(vault)
                } catch .refused(.staleSerial(let current)) where round < Self.roundsMax {
                    // Another device was there meanwhile, perhaps with a newer one.
                    let known = lacking.first { $0.vault == vault }
                    if let known { moved.append((vault, current, known.registrationID)) }
                } catch { problems.append(VaultReport(vault: vault, problem: error)) }
            }
            guard !moved.isEmpty else { break }
            await pause(round)
            seen = FleetHeads()
            await getHeads(at: moved, backupKey, into: &seen)
        }
        return (acknowledged, problems)
    }

    private typealias Target = (vault: Fleet.Vault, serial: UInt64, registrationID: RegistrationID)

    private func getHeads(at targets: [Target], _ backupKey: SecretBytes, into heads: inout FleetHeads) async {
        let answers = await signedOperation(at: targets.map { ($0.vault, $0.serial) }) { context in
            guard let target = targets.first(where: { $0.vault.id == context.vaultID }),
                let bytes = try? SignedBytes.getHead(context, registrationID: target.registrationID)
            else { return nil }
            let key = managementKey(backupKey: backupKey, registrationID: target.registrationID)
            return .getHead(
                GetHeadRequest(
                    serial: context.serial, registrationID: target.registrationID, signature: key.sign(bytes)))
        }
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .head(let reply) = try answer.accepted(),
                    let target = targets.first(where: { $0.vault == vault })
                else { throw .misbehaves(.garbage) }
                heads.answers.append(
                    FleetHeads.Answer(
                        vault: vault, kept: reply.kept, serial: reply.serial, registrationID: target.registrationID))
            } catch { heads.problems.append(VaultReport(vault: vault, problem: error)) }
        }
    }

    /// With the serials of the looks before: where one has moved on, this must be refused, not signed again.
    private func set(_ head: SealedHead, at answers: [FleetHeads.Answer], _ backupKey: SecretBytes) async -> Answers {
        let questions = answers.compactMap { answer -> (vault: Fleet.Vault, operation: Operation)? in
            let context = SigningContext(
                fleetID: fleet.id, vaultID: answer.vault.id, name: name, serial: answer.serial)
            let id = answer.registrationID
            guard let bytes = try? SignedBytes.setHead(context, registrationID: id, head: head) else { return nil }
            let key = managementKey(backupKey: backupKey, registrationID: id)
            return (
                answer.vault,
                .setHead(
                    SetHeadRequest(
                        serial: context.serial, registrationID: id, head: head, signature: key.sign(bytes)))
            )
        }
        return questions.isEmpty ? [] : await ask(questions)
    }
}
