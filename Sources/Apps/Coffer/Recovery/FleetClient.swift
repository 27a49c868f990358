import ByteCoding
import Primitives
package import RecoveryProtocol

/// The client of a fleet: puts K behind a password, gets it back, shows how things stand, and takes it away again.
///
/// It decides nothing about the protocol: what is true and whom to ask is `RecoveryProtocol`'s. Vaults are asked in
/// parallel, and each one that fails is named.
package struct FleetClient: Sendable {
    package let fleet: Fleet
    package let name: AccountName
    let channel: VaultChannel

    /// `fleet` must be pinned by the app, given by the person or authenticated under K, unless it is only used to
    /// recover or to show the status. Without a `deadline`, the transport's own time-outs hold.
    package init(
        fleet: Fleet, name: AccountName, transport: any VaultTransport, tokens: @escaping VaultTokens,
        deadline: VaultDeadline? = nil, now: @escaping @Sendable () -> Timestamp
    ) {
        self.fleet = fleet
        self.name = name
        channel = VaultChannel(
            fleetID: fleet.id, transport: transport, tokens: tokens, deadline: deadline, now: now)
    }

    /// Asks several vaults at once; the answers stand in the order of the questions.
    func ask(
        _ questions: [(vault: Fleet.Vault, operation: Operation)]
    ) async -> [(vault: Fleet.Vault, answer: Result<Reply, VaultProblem>)] {
        let channel = channel
        return await withTaskGroup(of: (Int, Result<Reply, VaultProblem>).self) { group in
            for (position, question) in questions.enumerated() {
                group.addTask { (position, await channel.ask(question.operation, of: question.vault)) }
            }
            var answers = [Result<Reply, VaultProblem>?](repeating: nil, count: questions.count)
            for await (position, answer) in group { answers[position] = answer }
            return zip(questions, answers).map { ($0.vault, $1 ?? .failure(.unreachable("it was not asked"))) }
        }
    }

    /// How every vault of the fleet stands. Never charged.
    package func status() async -> FleetStatus {
        let answers = await ask(fleet.currentVaults.map { ($0, .status(StatusRequest())) })
        var status = FleetStatus(survey: StatusSurvey(fleet: fleet, name: name))
        for (vault, answer) in answers {
            do throws(VaultProblem) {
                guard case .status(let reply) = try answer.accepted() else { throw .misbehaves(.garbage) }
                do throws(VaultFault) {
                    try status.survey.add(reply, from: vault.id)
                } catch { throw .misbehaves(error) }
                status.answered.append((vault, reply))
            } catch {
                status.problems.append(VaultReport(vault: vault, problem: error))
            }
        }
        return status
    }
}

extension Result<Reply, VaultProblem> {
    /// The reply, unless it is a refusal.
    func accepted() throws(VaultProblem) -> Reply {
        let reply = try get()
        if case .refused(let refusal) = reply { throw .refused(refusal) }
        return reply
    }
}

/// How a fleet stands for one account.
package struct FleetStatus: Sendable {
    package internal(set) var survey: StatusSurvey
    package internal(set) var answered: [(vault: Fleet.Vault, reply: StatusReply)] = []
    package internal(set) var problems: [VaultReport] = []

    init(survey: StatusSurvey) { self.survey = survey }

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

    /// Takes vaults out of what follows, and says why.
    mutating func leaveOut(_ isMeant: (StatusReply?) -> Bool, because problem: VaultProblem) {
        problems += answered.filter { isMeant($0.reply) }.map { VaultReport(vault: $0.vault, problem: problem) }
        answered.removeAll { isMeant($0.reply) }
    }

    func reply(of vaultID: VaultID) -> StatusReply? { answered.first { $0.vault.id == vaultID }?.reply }

    /// If every vault that failed did so for its token, that is what the person has to see to.
    var tokenRefusal: Refusal? {
        for problem in problems.map(\.problem) {
            if case .refused(let refusal) = problem,
                [.unauthorised, .tokenExpired, .wrongVault].contains(refusal)
            {
                return refusal
            }
        }
        return nil
    }
}
