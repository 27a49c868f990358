import ByteCoding
import RecoveryProtocol

/// Status, Evaluate and Confirm: what is shown, charged and given back.
extension Machine {
    func status(_ request: StatusRequest) -> StatusReply {
        let shown = request.registrationID.map { record.registration($0) } ?? record.active
        let budget = record.active == nil ? budget(for: context.fleet.version) : record.budget
        return StatusReply(
            serial: record.serial, vaultTime: Timestamp(unixSeconds: context.time.seconds), state: state,
            attemptsLeft: UInt8(clamping: record.attemptsLeft), attemptsPerVault: budget, notBefore: notBefore,
            held: held, record: shown.map { RecordView($0.record) }, certificates: record.certificates,
            ended: record.tombstone.map {
                EndedRegistration(registrationID: $0.registrationID, managementKey: $0.managementKey)
            },
            waiting: record.requestedChange.map { change in
                WaitingChange(
                    kind: change.replacement == nil ? .deletion : .replacement,
                    requested: Timestamp(unixSeconds: change.requestedSeconds),
                    allowed: change.allowed(at: context.time))
            },
            changedWithoutKey: Timestamp(unixSeconds: record.changedWithoutKeySeconds ?? 0),
            frozen: record.thawNonce)
    }

    private var state: AccountState {
        if record.active != nil {
            return record.attemptsLeft > 0 ? .active : .destructionPending(erasedAt: erasedAt)
        }
        if let seconds = record.tombstone?.destroyedSeconds { return .destroyed(at: Timestamp(unixSeconds: seconds)) }
        return .notRegistered
    }

    private var held: [HeldRecord] {
        let places: [(HeldRecord.Role, Registration?)] = [
            (.active, record.active), (.previous, record.previous), (.pending, record.pending?.registration),
            (.pendingSigned, record.pendingSigned?.registration), (.waiting, record.requestedChange?.replacement),
        ]
        return places.compactMap { role, registration in
            registration.map { HeldRecord(role: role, registrationID: $0.id, recordHash: $0.recordHash) }
        }
    }

    /// Charges, then says what to evaluate. An exact repeat is free whatever the serial: evaluation is deterministic,
    /// so the repeat teaches nothing, and a lost reply must not cost an attempt.
    mutating func evaluate(_ request: EvaluateRequest) throws(Refused) -> ChargedEvaluation {
        try requireThawed()
        let receipt = request.receipt
        if let charge = record.charges.first(where: { $0.receipt == receipt }),
            let registration = record.registration(charge.registrationID)
        {
            events.append(.repeated)
            return evaluation(of: request, with: registration)
        }
        guard record.active != nil else { throw Refused(absence) }
        guard let registration = record.registration(request.registrationID) else {
            throw Refused(.unknownRegistration)
        }
        guard !record.charges.contains(where: { $0.attemptID == request.attemptID }) else {
            throw Refused(.attemptReused)
        }
        try requireSerial(request.serial)
        guard record.attemptsLeft > 0 else { throw Refused(.destructionPending(erasedAt: erasedAt)) }
        guard notBefore.unixSeconds == 0 else { throw Refused(.tooEarly(notBefore: notBefore)) }
        guard !context.isSuspended else { throw Refused(.suspended) }
        guard !context.isOverRate else { throw Refused(.busy(retryAfterSeconds: 60)) }
        charge(request, receipt)
        return evaluation(of: request, with: registration)
    }

    private mutating func charge(_ request: EvaluateRequest, _ receipt: Receipt) {
        record.charges.append(
            Charge(
                receipt: receipt, registrationID: request.registrationID, attemptID: request.attemptID,
                chargedSeconds: context.time.seconds))
        if record.attemptsLeft == 0 {
            record.destroyServingSeconds = context.time.servingSeconds.saturatingAdd(
                UInt64(context.policy.graceSeconds))
        }
        note(.attempt, as: .charged)
    }

    private func evaluation(of request: EvaluateRequest, with registration: Registration) -> ChargedEvaluation {
        ChargedEvaluation(
            share: registration.share, blindedElement: request.blindedElement,
            envelope: registration.record.envelope, attemptsLeft: UInt8(clamping: record.attemptsLeft))
    }

    /// Gives back exactly the attempts listed: a client lists those of its own run, and a stranger's stay charged.
    mutating func confirm(_ request: ConfirmRequest) throws(Refused) -> Reply {
        guard record.active != nil else { throw Refused(absence) }
        guard let registration = record.registration(request.registrationID) else {
            throw Refused(.unknownRegistration)
        }
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: registration.managementKey) { signing in
            try SignedBytes.confirm(
                signing, registrationID: request.registrationID, receipts: request.receipts)
        }
        let given = giveBack {
            $0.registrationID == request.registrationID && request.receipts.contains($0.receipt)
        }
        advanceSerial()
        note(.confirmed, count: given, as: .confirmed(attempts: given))
        return .confirmed(serial: record.serial, attemptsLeft: UInt8(clamping: record.attemptsLeft))
    }
}
