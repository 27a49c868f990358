package import Primitives
package import RecoveryProtocol

/// A Prepare whose share was found to belong to the record and to this vault.
///
/// The check multiplies by the generator, so it is made before the ledger's step, where commands wait for each other.
package struct CheckedPrepare: Equatable, Sendable {
    let request: PrepareRequest
    let recordHash: RecordHash

    /// H(…, k_i·G) must be h_i of the record's entry for this vault: a vault that kept another share would be a vault
    /// that cannot help, and nobody would know until the day of recovery.
    package init(_ request: PrepareRequest, at vaultID: VaultID) throws(Refused) {
        guard request.shareBelongs(to: vaultID), let hash = try? request.record.recordHash() else {
            throw Refused(.badShare)
        }
        self.request = request
        recordHash = hash
    }
}

/// Why a command was refused: the reply that says so.
package struct Refused: Error, Equatable {
    package let refusal: Refusal
    package init(_ refusal: Refusal) { self.refusal = refusal }
}

/// What the machine can be told to do with one account.
package enum Command: Equatable, Sendable {
    case status(StatusRequest)
    case prepare(CheckedPrepare)
    case activate(ActivateRequest)
    case retire(SuccessionCertificate)
    case evaluate(EvaluateRequest)
    case confirm(ConfirmRequest)
    case delete(DeleteRequest)
    case forgive(ForgiveRequest)
    case history(HistoryRequest)
    case setHead(SetHeadRequest)
    case getHead(GetHeadRequest)
    case thaw(ThawRequest)
    case requestDeletion(DeletionRequest)
}

/// Everything that decides beside the record and the command.
package struct MachineContext: Sendable {
    package var name: AccountName
    package var vaultID: VaultID
    package var fleet: Fleet
    package var policy: TenantPolicy
    package var time: LedgerTime
    /// The tenant's circuit breaker is open: no new attempt is charged.
    package var isSuspended: Bool
    /// The account asks too often: no new attempt is charged. Repeats and signed operations go on.
    package var isOverRate: Bool

    package init(
        name: AccountName, vaultID: VaultID, fleet: Fleet, policy: TenantPolicy, time: LedgerTime,
        isSuspended: Bool = false, isOverRate: Bool = false
    ) {
        self.name = name
        self.vaultID = vaultID
        self.fleet = fleet
        self.policy = policy
        self.time = time
        self.isSuspended = isSuspended
        self.isOverRate = isOverRate
    }
}

/// A charged attempt's answer, to be computed after the commit and nowhere before.
package struct ChargedEvaluation: Equatable, Sendable {
    package let share: Scalar
    package let blindedElement: GroupElement
    package let envelope: Envelope
    package let attemptsLeft: UInt8
}

package enum Answer: Equatable, Sendable {
    case reply(Reply)
    case evaluate(ChargedEvaluation)
}

/// What happened to an account, for counters.
package enum VaultEvent: Equatable, Sendable {
    case prepared, activated, retired, charged, repeated, deleted, expired, destroyed
    case confirmed(attempts: Int), forgiven(attempts: Int)
    case replacementRequested, deletionRequested, cancelled, replacedWithoutKey, deletedWithoutKey, shown, thawed
    case headSet
}

/// One step of the machine.
package struct Step: Equatable, Sendable {
    package let record: AccountRecord
    package let answer: Answer
    package let events: [VaultEvent]
    /// The step let go of a secret: no version of the record from before may stay in the store.
    package let erasesSecrets: Bool
}
