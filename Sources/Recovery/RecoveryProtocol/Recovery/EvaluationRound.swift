/// Whom to ask for one entry of a password: t vaults at first, and for each that fails the next best one.
///
/// A vault more than needed is never asked: each one asked is charged.
package struct EvaluationRound: Sendable {
    private let threshold: Int
    private var waiting: [Voter]
    private var asked = 0
    package private(set) var good: [CheckedEvaluation] = []

    package init(voters: [Voter], threshold: Int) {
        self.threshold = threshold
        waiting = voters.filter(\.canAnswer)
    }

    package var isComplete: Bool { good.count >= threshold }

    /// Those to ask now; counted as asked.
    package mutating func next() -> [Voter] {
        let wanted = max(0, threshold - good.count - asked)
        let chosen = Array(waiting.prefix(wanted))
        waiting.removeFirst(chosen.count)
        asked += chosen.count
        return chosen
    }

    package mutating func succeeded(_ evaluation: CheckedEvaluation) {
        asked -= 1
        good.append(evaluation)
    }

    package mutating func failed() { asked -= 1 }
}
