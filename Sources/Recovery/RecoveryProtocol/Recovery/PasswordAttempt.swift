import ByteCoding
package import Primitives

/// What a vault did against the protocol. It is named to the person, and another one is asked.
package enum VaultFault: Error, Hashable, Sendable {
    /// The reply is not sealed, not of this version, or of another kind than was asked for.
    case garbage
    /// Its record is not what it hashes to, or not of this fleet or account.
    case wrongRecord
    /// Its share is not the one that the record commits to.
    case wrongShareKey
    /// Its envelope is not the record's.
    case wrongEnvelope
    /// It evaluated under another key than it showed.
    case badProof
    /// Its channel key is not signed by the identity that the fleet file pins.
    case badIdentity
}

/// A vault's evaluation, checked against the record.
package struct CheckedEvaluation: Sendable {
    package let index: UInt8
    package let element: GroupElement
    package let envelope: Envelope
    package let attemptsLeft: UInt8
}

/// Why no key came out of t good evaluations.
package enum FinishError: Error, Equatable {
    case tooFewEvaluations
    case wrongPassword
    case argon2Unavailable
    /// The password is right and the envelope does not open: its maker sealed it badly. Use another protection.
    case damagedEnvelope
}

/// K, and what manages the registration that it came from.
package struct RecoveredKey: Sendable {
    package let backupKey: SecretBytes
    package let managementKey: SigningKey
}

/// One entry of a password: one attempt id, one blind, one blinded element, for all vaults until t answered well.
/// Neither the blind nor B is ever written to disk.
package struct PasswordAttempt: Sendable {
    package let attemptID: AttemptID
    package let blindedElement: GroupElement
    package let view: RecordView
    private let blind: Scalar
    private let input: SecretBytes

    /// Why a password cannot be tried.
    package enum StartError: Error, Equatable {
        /// The password is too long.
        case inputSize
        /// The record asks for an Argon2id that is cheaper or dearer than a client accepts.
        case argon2Parameters
    }

    package init(
        password: SecretBytes, view: RecordView, using generator: inout some RandomNumberGenerator
    ) throws(StartError) {
        let id = AttemptID.random(using: &generator)
        try self.init(password: password, view: view, attemptID: id, blind: .random(using: &generator))
    }

    /// With given randomness, for vectors.
    package init(
        password: SecretBytes, view: RecordView, attemptID: AttemptID, blind: Scalar
    ) throws(StartError) {
        let header = view.header
        guard header.argon2.isAcceptable else { throw .argon2Parameters }
        self.view = view
        self.attemptID = attemptID
        self.blind = blind
        do {
            input = try passwordInput(
                fleetID: header.fleetID, name: header.name, registrationID: header.registrationID,
                password: password)
            blindedElement = try OPRF.blind(input, with: blind)
        } catch { throw .inputSize }
    }

    package var receipt: Receipt {
        Receipt(
            registrationID: view.header.registrationID, attemptID: attemptID, blindedElement: blindedElement)
    }

    package func request(serial: UInt64) -> EvaluateRequest {
        EvaluateRequest(
            serial: serial, registrationID: view.header.registrationID, attemptID: attemptID,
            blindedElement: blindedElement)
    }

    /// Checks one vault's reply: C_i against h_i, the envelope against the record, then the proof.
    package func check(_ reply: EvaluateReply, from vaultID: VaultID) throws(VaultFault) -> CheckedEvaluation {
        let header = view.header
        guard let holder = header.holder(vaultID: vaultID) else { throw .wrongRecord }
        let commitment = ShareCommitment(
            registrationID: header.registrationID, index: holder.index, vaultID: vaultID, shareKey: reply.shareKey)
        guard commitment == holder.commitment else { throw .wrongShareKey }
        guard reply.envelope.hash == view.envelopeHash else { throw .wrongEnvelope }
        guard
            DLEQ.isValid(
                reply.proof, shareKey: reply.shareKey, inputs: [blindedElement], outputs: [reply.evaluation])
        else { throw .badProof }
        return CheckedEvaluation(
            index: holder.index, element: reply.evaluation, envelope: reply.envelope,
            attemptsLeft: reply.attemptsLeft)
    }

    /// Combines t checked evaluations, unblinds, stretches, checks the commitment and opens the envelope.
    package func finish(_ evaluations: [CheckedEvaluation]) throws(FinishError) -> RecoveredKey {
        let threshold = Int(view.header.threshold)
        let used = evaluations.prefix(threshold)
        guard used.count == threshold, let envelope = used.first?.envelope,
            let combined = SecretSharing.combine(used.map { ($0.index, $0.element) }),
            let output = OPRF.finalize(input: input, blind: blind, evaluation: combined)
        else { throw .tooFewEvaluations }
        let id = view.header.registrationID
        let keys: EnvelopeKeys
        do {
            keys = try EnvelopeKeys(output: output, registrationID: id, argon2: view.header.argon2)
        } catch { throw .argon2Unavailable }
        guard envelope.isCommitted(to: keys) else { throw .wrongPassword }
        guard let backupKey = envelope.open(keys: keys, header: view.header) else { throw .damagedEnvelope }
        let management = managementKey(backupKey: backupKey, registrationID: id)
        guard management.verifyingKey == view.header.managementKey else { throw .damagedEnvelope }
        return RecoveredKey(backupKey: backupKey, managementKey: management)
    }
}
