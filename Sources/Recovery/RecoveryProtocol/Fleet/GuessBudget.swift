/// How many guesses a fleet gives, and to whom.
extension Fleet {
    /// g = ⌊G·t/n⌋: the attempts that each vault grants for itself.
    package var attemptsPerVault: Int { Self.attemptsPerVault(promisedTotal: Int(promisedTotal), in: current) }

    package static func attemptsPerVault(promisedTotal: Int, in generation: Generation) -> Int {
        promisedTotal * Int(generation.threshold) / max(generation.count, 1)
    }

    /// The most guesses that a stranger gets with `corrupt` vaults that do not count: ⌊(n−c)·g/(t−c)⌋.
    /// Nil from t corrupt vaults on: then only Argon2id stands between a stranger and the key.
    package func guessesMax(corrupt: Int) -> Int? {
        guard corrupt >= 0, corrupt < threshold else { return nil }
        return (current.count - corrupt) * attemptsPerVault / (threshold - corrupt)
    }

    /// Attempts as people are shown them: the largest A with Σ min(left_i, A) ≥ t·A over the vaults that answered.
    /// Each attempt takes one at t different vaults.
    package static func attemptsShown(left: [Int], threshold: Int) -> Int {
        guard threshold > 0 else { return 0 }
        var shown = 0
        while true {
            let next = shown + 1
            guard left.reduce(0, { $0 + min(max($1, 0), next) }) >= threshold * next else { return shown }
            shown = next
        }
    }
}
