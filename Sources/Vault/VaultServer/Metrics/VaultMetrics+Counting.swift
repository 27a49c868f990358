package import RecoveryProtocol
import VaultCore

/// What is counted, in the words of the labels.
extension VaultMetrics {
    /// What happened in a batch: of one tenant mostly the same again and again, which is counted in one step.
    func count(_ batch: [(tenant: String, events: [VaultEvent])]) {
        var run: (tenant: String, word: String, number: Int, returned: Int?)?
        func countRun() {
            guard let run else { return }
            count(Metrics.events, [run.tenant, run.word], by: run.number)
            if let returned = run.returned { count(Metrics.attemptsReturned, [run.tenant], by: returned) }
        }
        for (tenant, events) in batch {
            for event in events {
                let (word, returned) = (event.metricWord, event.attemptsReturned)
                if let known = run, known.word == word, known.tenant == tenant {
                    run = (tenant, word, known.number + 1, returned.map { $0 + (known.returned ?? 0) })
                } else {
                    countRun()
                    run = (tenant, word, 1, returned)
                }
            }
        }
        countRun()
    }

    package func show(_ certificate: ServerCertificate) {
        set(Metrics.certificateExpiry, to: Double(certificate.expirySeconds))
    }

    func showBreaker(of tenant: String, isOpen: Bool) { set(Metrics.breakerOpen, [tenant], to: isOpen ? 1 : 0) }

    func count(witnesses areGenuine: [Bool]) {
        for (index, isGenuine) in areGenuine.enumerated() {
            count(Metrics.witnessAnswers, ["\(index + 1)", isGenuine ? "genuine" : "none"])
        }
    }

    func count(_ operation: Operation?, answeredWith reply: Reply) {
        let outcome: String
        if case .refused(let refusal) = reply { outcome = refusal.metricWord } else { outcome = "answered" }
        count(Metrics.requests, [operation?.metricWord ?? "unreadable", outcome])
    }
}

extension VaultEvent {
    /// Nil for what has nothing to do with attempts. What is subtracted from what was charged must be there from the first
    /// charge on.
    fileprivate var attemptsReturned: Int? {
        switch self {
        case .charged: 0
        case .confirmed(let attempts), .forgiven(let attempts): attempts
        default: nil
        }
    }

    var metricWord: String {
        switch self {
        case .prepared: "prepared"
        case .activated: "activated"
        case .retired: "retired"
        case .charged: "charged"
        case .repeated: "repeated"
        case .deleted: "deleted"
        case .expired: "expired"
        case .destroyed: "destroyed"
        case .confirmed: "confirmed"
        case .forgiven: "forgiven"
        case .replacementRequested: "replacement_requested"
        case .deletionRequested: "deletion_requested"
        case .cancelled: "cancelled"
        case .replacedWithoutKey: "replaced_without_key"
        case .deletedWithoutKey: "deleted_without_key"
        case .shown: "shown"
        case .thawed: "thawed"
        case .headSet: "head_set"
        }
    }
}

extension Operation {
    package var metricWord: String {
        switch self {
        case .status: "status"
        case .prepare: "prepare"
        case .activate: "activate"
        case .retire: "retire"
        case .evaluate: "evaluate"
        case .confirm: "confirm"
        case .delete: "delete"
        case .forgive: "forgive"
        case .history: "history"
        case .setHead: "set_head"
        case .getHead: "get_head"
        case .thaw: "thaw"
        case .requestDeletion: "request_deletion"
        }
    }
}

extension Refusal {
    var metricWord: String {
        switch self {
        case .malformed: "malformed"
        case .unauthorised: "unauthorised"
        case .tokenExpired: "token_expired"
        case .wrongVault: "wrong_vault"
        case .notRegistered: "not_registered"
        case .unknownRegistration: "unknown_registration"
        case .staleSerial: "stale_serial"
        case .tooEarly: "too_early"
        case .destructionPending: "destruction_pending"
        case .destroyed: "destroyed"
        case .policyRefused: "policy_refused"
        case .badShare: "bad_share"
        case .badSignature: "bad_signature"
        case .fleetMismatch: "fleet_mismatch"
        case .attemptReused: "attempt_reused"
        case .notPrepared: "not_prepared"
        case .oldKeyNeeded: "old_key_needed"
        case .busy: "busy"
        case .suspended: "suspended"
        case .unavailable: "unavailable"
        case .changeWaiting: "change_waiting"
        case .frozen: "frozen"
        }
    }
}

extension TokenRefusal {
    var metricWord: String {
        switch self {
        case .malformed: "malformed"
        case .unknownTenant: "unknown_tenant"
        case .badSignature: "bad_signature"
        case .wrongVault: "wrong_vault"
        case .expired: "expired"
        case .outsideLifetime: "outside_lifetime"
        }
    }
}
