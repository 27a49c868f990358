import Primitives
import RecoveryProtocol

/// What an owner's device does with K alone, as `FleetClient.history` and `forgive`.
extension Owner {
    /// Looks at what happened, which calls off what a stranger asked for; thaws; and has own slips forgiven.
    func look() async throws {
        let survey = try await survey()
        try await thaw(survey)
        let targets = survey.answered.filter { isManaged($0.reply) }.map { ($0.vault, $0.reply.serial) }
        let answers = try await signed(at: targets) { vault, context in
            guard let id = survey.reply(vault)?.activeID else { return nil }
            return .history(
                HistoryRequest(
                    serial: context.serial, registrationID: id,
                    signature: key(id).sign(try SignedBytes.history(context, registrationID: id))))
        }
        guard world.chance(perMille: 500) else { return }
        try await forgive(answers, survey)
    }

    /// The person, shown the times of the attempts, knows which were their own.
    private func forgive(_ answers: [(vault: Int, reply: Reply?)], _ survey: Survey) async throws {
        let shown = answers.compactMap { vault, reply -> (vault: Int, serial: UInt64, own: [AttemptID])? in
            guard case .history(let history) = reply else { return nil }
            let own = history.charged.map(\.attemptID).filter(attempts.contains)
            return own.isEmpty ? nil : (vault, history.serial, own)
        }
        _ = try await signed(at: shown.map { ($0.vault, $0.serial) }) { vault, context in
            guard let id = survey.reply(vault)?.activeID, let own = shown.first(where: { $0.vault == vault })?.own
            else { return nil }
            return .forgive(
                ForgiveRequest(
                    serial: context.serial, registrationID: id, attempts: own,
                    signature: key(id).sign(try SignedBytes.forgive(context, registrationID: id, attempts: own))))
        }
        if !shown.isEmpty { world.note("\(name.account) calls \(shown.map(\.own.count)) attempts their own") }
    }

    func isManaged(_ reply: StatusReply) -> Bool {
        reply.activeID != nil && !reply.isActiveForeign(to: backupKey)
    }

    /// Only what t vaults call active.
    private func thaw(_ survey: Survey) async throws {
        let targets = survey.answered.filter { answer in
            guard answer.reply.frozen != nil, isManaged(answer.reply), let active = answer.reply.active else {
                return false
            }
            return survey.answered.count { $0.reply.active?.recordHash == active.recordHash } >= fleet.threshold
        }
        guard !targets.isEmpty else { return }
        _ = try await signed(at: targets.map { ($0.vault, $0.reply.serial) }) { vault, context in
            guard let reply = survey.reply(vault), let nonce = reply.frozen, let id = reply.activeID else { return nil }
            return .thaw(
                ThawRequest(
                    serial: context.serial, registrationID: id, nonce: nonce,
                    signature: key(id).sign(try SignedBytes.thaw(context, registrationID: id, nonce: nonce))))
        }
    }
}
