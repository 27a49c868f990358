package import RecoveryProtocol

/// How a fleet stands for one account.
package struct FleetStatus: Sendable {
    package private(set) var survey: StatusSurvey
    package private(set) var answered: [(vault: Fleet.Vault, reply: StatusReply)] = []
    /// Vaults that gave no answer that can be used.
    package private(set) var problems: [VaultReport] = []

    init(_ answers: FleetClient.Answers, fleet: Fleet, name: AccountName) {
        survey = StatusSurvey(fleet: fleet, name: name)
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .status(let reply) = try answer.accepted() else { throw .misbehaves(.garbage) }
                do throws(VaultFault) {
                    try survey.add(reply, from: vault.id)
                } catch { throw .misbehaves(error) }
                answered.append((vault, reply))
            } catch {
                problems.append(VaultReport(vault: vault, problem: error))
            }
        }
    }

    package var verdict: StatusSurvey.Verdict { survey.verdict }

    /// The registration in use, if the vaults agree on one.
    package var registration: StatusSurvey.Candidate? {
        switch verdict {
        case .candidate(let candidate), .tooEarly(let candidate, _): candidate
        default: nil
        }
    }

    /// As people are shown them, over the vaults that answered.
    package var attemptsLeft: Int { registration?.attemptsShown ?? 0 }

    /// Vaults that answered, and that would not evaluate now: what they would refuse with.
    package var impairments: [VaultReport] {
        answered.compactMap { vault, reply in
            refusal(reply).map { VaultReport(vault: vault, problem: .refused($0)) }
        }
    }

    private func refusal(_ reply: StatusReply) -> Refusal? {
        switch reply.state {
        case .destroyed(let time): return .destroyed(at: time)
        case .destructionPending(let erasedAt): return .destructionPending(erasedAt: erasedAt)
        case .notRegistered:
            let isElsewhere = answered.contains { $0.reply.state != .notRegistered }
            return isElsewhere ? .notRegistered : nil
        case .active:
            if let registration, !reply.held.contains(where: { $0.recordHash == registration.recordHash }) {
                return .unknownRegistration
            }
            if reply.frozen != nil { return .frozen }
            return reply.notBefore > reply.vaultTime ? .tooEarly(notBefore: reply.notBefore) : nil
        }
    }

    /// Takes vaults out of what follows, and says why.
    mutating func leaveOut(_ isMeant: (StatusReply?) -> Bool, because problem: VaultProblem) {
        problems += answered.filter { isMeant($0.reply) }.map { VaultReport(vault: $0.vault, problem: problem) }
        answered.removeAll { isMeant($0.reply) }
    }

    /// Leaves vaults alone, whatever they said.
    mutating func spare(_ vaults: [VaultID]) {
        answered.removeAll { vaults.contains($0.vault.id) }
        problems.removeAll { vaults.contains($0.vault.id) }
    }

    func reply(of vaultID: VaultID) -> StatusReply? { answered.first { $0.vault.id == vaultID }?.reply }
}

/// What the person has to see to before a fleet does anything for them.
package enum SignInFault: Error, Equatable, Sendable {
    /// Get a new token.
    case expired
    /// The vaults do not accept the sign-in.
    case refused
    /// There are no tokens for the vaults of this fleet.
    case missing
    /// The sign-in may be well: this device's clock or the vaults' is wrong.
    case clock

    /// The reason that alone kept too few vaults from taking part, if it is one of these.
    /// - Parameters:
    ///   - vaults: how many there are.
    ///   - needed: how many must take part.
    init?(_ problems: [VaultReport], vaults: Int, needed: Int) {
        func isCause(_ matches: (VaultProblem) -> Bool) -> Bool {
            problems.count { matches($0.problem) } > vaults - needed
        }
        if isCause({ $0 == .refused(.tokenExpired) }) {
            self = .expired
        } else if isCause({ $0 == .refused(.unauthorised) || $0 == .refused(.wrongVault) }) {
            self = .refused
        } else if isCause({ $0 == .noToken }) {
            self = .missing
        } else if isCause({ $0 == .clock }) {
            self = .clock
        } else {
            return nil
        }
    }
}
