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
    /// A store that was put back or forged is not served.
    case rolledBack = "rolled-back"
    /// What was restored from a copy is not evaluated before its owner's key has spoken.
    case frozen
    /// A head that was acknowledged stays, or a newer one; only its owner sets and sees it.
    case heads
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
    case anchorForgets = "anchor-forgets"
    case thawNotNeeded = "thaw-not-needed"
    case forgiveForgivesAll = "forgive-forgives-all"
    case delayIgnored = "delay-ignored"
    case contactIgnored = "contact-ignored"
    case changeForgetsHead = "change-forgets-head"
    case headForAnyone = "head-for-anyone"
    case olderHeadWins = "older-head-wins"
    case firstHeadBelieved = "first-head-believed"
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
        case .anchorForgets: [.rolledBack]
        case .thawNotNeeded: [.frozen]
        case .forgiveForgivesAll: [.nothingMinted]
        case .delayIgnored, .contactIgnored: [.ownersAlone]
        case .changeForgetsHead, .headForAnyone, .olderHeadWins, .firstHeadBelieved: [.heads]
        case .systemRandomness: [.sameBytes]
        }
    }

    /// Where to begin looking: seeds before it are known not to meet the bug, and would be run for nothing.
    func firstSeed(for check: Check) -> UInt64 {
        switch (self, check) {
        case (.receiptsDroppedOnRestart, .bound), (.destructionForgets, _): 3
        case (.retiredTooEarly, _), (.lastAttemptDestroys, _), (.anchorForgets, _): 3
        case (.contactIgnored, _), (.headForAnyone, _): 3
        case (.forgiveForgivesAll, _): 4
        case (.destructionNeverComes, _), (.changeOnChange, _), (.proofsUnchecked, _): 5
        case (.confirmForgivesStrangers, .bound): 6
        case (.delayIgnored, _): 8
        case (.commitBeforeSync, .neverLost): 12
        case (.firstHeadBelieved, _): 18
        default: 1
        }
    }
}
