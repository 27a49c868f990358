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
    private let grace: VaultGrace?
    let pause: VaultPause

    /// `fleet` must be pinned by the app, given by the person or authenticated under K, unless it is only used to
    /// recover or to show the status. Without a `deadline`, the transport's own time-outs hold; without a `grace`,
    /// every vault is waited for until its deadline. Without a `pause`, devices that meet may go on meeting.
    package init(
        fleet: Fleet, name: AccountName, transport: any VaultTransport, tokens: @escaping VaultTokens,
        deadline: VaultDeadline? = nil, grace: VaultGrace? = nil, pause: @escaping VaultPause = { _ in },
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.fleet = fleet
        self.name = name
        self.grace = grace
        self.pause = pause
        channel = VaultChannel(
            fleetID: fleet.id, transport: transport, tokens: tokens, deadline: deadline, now: now)
    }

    var needed: Int { fleet.neededForChange }

    typealias Answers = [(vault: Fleet.Vault, answer: Result<Reply, VaultProblem>)]

    private enum Event: Sendable {
        case answered(position: Int, Result<Reply, VaultProblem>)
        case graceIsOver
    }

    /// Asks several vaults at once; the answers stand in the order of the questions. Once those that are in are
    /// enough, the others have the grace: one hung vault does not hold up what it is not needed for.
    func ask(
        _ questions: [(vault: Fleet.Vault, operation: Operation)], until isEnough: (Answers) -> Bool
    ) async -> Answers {
        let (channel, grace) = (channel, grace)
        return await withTaskGroup(of: Event.self) { group in
            for (position, question) in questions.enumerated() {
                group.addTask {
                    .answered(position: position, await channel.ask(question.operation, of: question.vault))
                }
            }
            var answers = [Result<Reply, VaultProblem>?](repeating: nil, count: questions.count)
            var (isGraceRunning, isGraceOver) = (false, false)
            for await event in group {
                switch event {
                case .answered(let position, let answer):
                    // What failed after that was called off, and says nothing of the vault.
                    if isGraceOver, case .failure = answer { continue }
                    answers[position] = answer
                case .graceIsOver: isGraceOver = true
                }
                let known = zip(questions, answers).compactMap { question, answer in
                    answer.map { (vault: question.vault, answer: $0) }
                }
                if isGraceOver || known.count == questions.count {
                    group.cancelAll()
                } else if let grace, !isGraceRunning, isEnough(known) {
                    isGraceRunning = true
                    group.addTask {
                        await grace()
                        return .graceIsOver
                    }
                }
            }
            return zip(questions, answers).map { ($0.vault, $1 ?? .failure(.timedOut)) }
        }
    }

    /// Asks several vaults to do something; as many as a change needs are enough.
    func ask(_ questions: [(vault: Fleet.Vault, operation: Operation)]) async -> Answers {
        await ask(questions) { answers in
            answers.count { (try? $0.answer.accepted()) != nil } >= min(needed, questions.count)
        }
    }

    /// How every vault of the fleet stands. Never charged.
    package func status() async -> FleetStatus { await status { $0.verdict.isSettled } }

    /// As `status()`, with what is enough to go on after the grace.
    func status(until isEnough: (FleetStatus) -> Bool) async -> FleetStatus {
        let answers = await ask(fleet.currentVaults.map { ($0, .status(StatusRequest())) }) { answers in
            isEnough(FleetStatus(answers, fleet: fleet, name: name))
        }
        return FleetStatus(answers, fleet: fleet, name: name)
    }

    /// How the vaults stand before a change.
    func statusForChange() async -> FleetStatus { await status { $0.answered.count >= needed } }
}

extension Result<Reply, VaultProblem> {
    /// The reply, unless it is a refusal.
    func accepted() throws(VaultProblem) -> Reply {
        let reply = try get()
        if case .refused(let refusal) = reply { throw .refused(refusal) }
        return reply
    }
}

extension StatusSurvey.Verdict {
    /// Whether further replies can hardly change it: t vaults say the same.
    var isSettled: Bool {
        switch self {
        case .candidate, .noAttemptsLeft, .destroyed, .notRegistered: true
        case .tooEarly, .tooFewVaults: false
        }
    }
}
