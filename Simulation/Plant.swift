/// What is checked. A run ends with the first that is broken.
enum Check: String, CaseIterable {
    /// No evaluation leaves without a charge in the store.
    case chargedFirst = "charged-first"
    /// A repeat of a receipt is answered and not charged.
    case freeRetry = "free-retry"
    /// Attempts come back by a Confirm that lists them, by a new registration, and in no other way.
    case nothingMinted = "nothing-minted"
    /// A stranger's guesses stay within the bound, for the life of a registration.
    case bound
    /// Nothing is evaluated after destruction, and destruction comes.
    case destroyed
    /// What was acknowledged is in the store after every crash.
    case durable
    /// One sealed message has one effect; the serial never falls.
    case oneEffect = "one-effect"
    /// Nobody without the key takes an account's registration away.
    case ownersAlone = "owners-alone"
    /// An acknowledged registration can be recovered from at every moment.
    case neverLost = "never-lost"
    /// Whoever knows the password, with attempts left and t honest vaults up, recovers.
    case recovers
    /// The same seed gives the same bytes.
    case sameBytes = "same-bytes"
}

/// A bug put in on purpose, to show that a check can fail.
enum Plant: String, CaseIterable {
    case retryChargesTwice = "retry-charges-twice"
    case confirmForgivesStrangers = "confirm-forgives-strangers"
    case receiptsDroppedOnRestart = "receipts-dropped-on-restart"
    case serialNotRaised = "serial-not-raised"
    case destructionForgets = "destruction-forgets"
    case destructionNeverComes = "destruction-never-comes"
    case answerBeforeCommit = "answer-before-commit"
    case commitBeforeSync = "commit-before-sync"
    case tokenReplaces = "token-replaces"
    case retiredTooEarly = "retired-too-early"
    case changeOnChange = "change-on-change"
    case proofsUnchecked = "proofs-unchecked"
    case lastAttemptDestroys = "last-attempt-destroys"
    case systemRandomness = "system-randomness"

    /// The checks that must notice it, each with the others looking away.
    var noticedBy: [Check] {
        switch self {
        case .retryChargesTwice: [.freeRetry, .oneEffect]
        case .confirmForgivesStrangers: [.nothingMinted, .bound]
        case .receiptsDroppedOnRestart: [.durable, .bound]
        case .serialNotRaised: [.oneEffect]
        case .destructionForgets, .destructionNeverComes: [.destroyed]
        case .answerBeforeCommit: [.chargedFirst]
        case .commitBeforeSync: [.durable, .neverLost]
        case .tokenReplaces: [.ownersAlone]
        case .retiredTooEarly, .changeOnChange: [.neverLost]
        case .proofsUnchecked: [.recovers]
        case .lastAttemptDestroys: [.destroyed]
        case .systemRandomness: [.sameBytes]
        }
    }

    /// Where to begin looking: seeds before it are known not to meet the bug, and would be run for nothing.
    func firstSeed(for check: Check) -> UInt64 {
        switch (self, check) {
        case (.destructionNeverComes, _): 7
        case (.commitBeforeSync, .neverLost): 54
        case (.retiredTooEarly, _), (.changeOnChange, _): 3
        case (.proofsUnchecked, _): 10
        default: 1
        }
    }
}
