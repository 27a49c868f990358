import ByteCoding
import Primitives
import RecoveryProtocol

/// Replacement and deletion without the old key: asked for once, shown to everybody who looks, and done when it is
/// asked for again after the tenant's delay, unless the old key was heard of in between.
extension Machine {
    /// The old registration goes at once, not to *previous*: else whoever has a sign-in would get a fresh count of
    /// guesses at it every fortnight.
    mutating func replaceWithoutKey(_ new: Registration) throws(Refused) -> Reply {
        guard let change = record.requestedChange else { return try request(replacement: new) }
        guard change.replacement?.recordHash == new.recordHash else { throw isWaiting(change) }
        guard change.allowedServingSeconds <= context.time.servingSeconds else { return waiting(change) }
        record.spendRegistrations()
        become(new)
        record.changedWithoutKeySeconds = context.time.seconds
        note(.replacedWithoutKey, as: .replacedWithoutKey)
        return .activated(serial: record.serial)
    }

    mutating func requestDeletion(_ request: DeletionRequest) throws(Refused) -> Reply {
        guard let id = record.active?.id ?? record.tombstone?.registrationID else { throw Refused(.notRegistered) }
        guard id == request.registrationID else { throw Refused(.unknownRegistration) }
        try requireSerial(request.serial)
        guard let change = record.requestedChange else { return try self.request(replacement: nil) }
        guard change.replacement == nil else { throw isWaiting(change) }
        guard change.allowedServingSeconds <= context.time.servingSeconds else { return waiting(change) }
        record.spendRegistrations()
        record.eraseRegistrations()
        record.tombstone = nil
        record.certificates = []
        record.thawNonce = nil
        record.changedWithoutKeySeconds = context.time.seconds
        advanceSerial()
        note(.deletedWithoutKey, as: .deletedWithoutKey)
        return .deleted(serial: record.serial)
    }

    /// The first request keeps the place: a later one would begin the delay anew, again and again.
    private mutating func request(replacement: Registration?) throws(Refused) -> Reply {
        guard let delay = context.policy.replacementDelaySeconds.map(UInt64.init) else {
            throw Refused(.oldKeyNeeded)
        }
        let allowed = context.time.servingSeconds.saturatingAdd(delay)
        let change = RequestedChange(
            replacement: replacement, requestedSeconds: context.time.seconds, allowedServingSeconds: allowed,
            lapsesServingSeconds: allowed.saturatingAdd(max(delay, UInt64(context.policy.pendingSeconds))))
        record.requestedChange = change
        if record.pending?.registration.recordHash == replacement?.recordHash { record.pending = nil }
        // A request is an effect: the message that made it must not, when it is repeated, make the change itself.
        advanceSerial()
        if replacement == nil {
            note(.deletionRequested, as: .deletionRequested)
        } else {
            note(.replacementRequested, as: .replacementRequested)
        }
        return waiting(change)
    }

    /// The old key was heard of: whatever was asked for without it is called off.
    mutating func heardFromOwner() {
        guard record.requestedChange != nil else { return }
        record.requestedChange = nil
        note(.cancelled, as: .cancelled)
    }

    private func waiting(_ change: RequestedChange) -> Reply {
        .waiting(serial: record.serial, allowed: change.allowed(at: context.time))
    }

    private func isWaiting(_ change: RequestedChange) -> Refused {
        Refused(.changeWaiting(allowed: change.allowed(at: context.time)))
    }
}

/// History, Forgive and Thaw: what the owner sees, and says of it.
extension Machine {
    mutating func history(_ request: HistoryRequest) throws(Refused) -> Reply {
        let key = try managementKey(of: request.registrationID)
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: key) { signing in
            try SignedBytes.history(signing, registrationID: request.registrationID)
        }
        // Else the network could keep the message, and call off with it what is asked for later.
        advanceSerial()
        events.append(.shown)
        return .history(
            HistoryReply(
                serial: record.serial, vaultTime: Timestamp(unixSeconds: context.time.seconds),
                entries: record.history.entries,
                charged: record.charges.map {
                    ChargedAttempt(attemptID: $0.attemptID, time: Timestamp(unixSeconds: $0.chargedSeconds))
                }))
    }

    /// Gives back the attempts that the person was shown and called their own, at whichever registration they were
    /// made: they count against the active one.
    mutating func forgive(_ request: ForgiveRequest) throws(Refused) -> Reply {
        guard let active = record.active else { throw Refused(absence) }
        guard active.id == request.registrationID else { throw Refused(.unknownRegistration) }
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: active.managementKey) { signing in
            try SignedBytes.forgive(signing, registrationID: request.registrationID, attempts: request.attempts)
        }
        let given = giveBack { request.attempts.contains($0.attemptID) }
        advanceSerial()
        note(.forgiven, count: given, as: .forgiven(attempts: given))
        return .forgiven(serial: record.serial, attemptsLeft: UInt8(clamping: record.attemptsLeft))
    }

    mutating func thaw(_ request: ThawRequest) throws(Refused) -> Reply {
        let key = try managementKey(of: request.registrationID)
        // A lost reply asked for again.
        guard let nonce = record.thawNonce else { return .thawed(serial: record.serial) }
        try requireSerial(request.serial)
        try require(request.signature, by: key) { signing in
            try SignedBytes.thaw(signing, registrationID: request.registrationID, nonce: nonce)
        }
        record.thawNonce = nil
        heardFromOwner()
        advanceSerial()
        note(.thawed, as: .thawed)
        return .thawed(serial: record.serial)
    }

    /// The key of the active registration, or of the one whose tombstone stands.
    func managementKey(of id: RegistrationID) throws(Refused) -> VerifyingKey {
        if let active = record.active {
            guard active.id == id else { throw Refused(.unknownRegistration) }
            return active.managementKey
        }
        guard let stone = record.tombstone, stone.registrationID == id else { throw Refused(absence) }
        return stone.managementKey
    }

    /// Drops the charges that are meant, and says how many there were.
    mutating func giveBack(_ isMeant: (Charge) -> Bool) -> Int {
        let given = record.charges.filter(isMeant)
        record.charges.removeAll(where: isMeant)
        for charge in given { record.history.takeBackAttempt(atSeconds: charge.chargedSeconds) }
        if record.attemptsLeft > 0 { record.destroyServingSeconds = nil }
        return given.count
    }

    /// Into the history, and to the counters.
    mutating func note(_ kind: HistoryEntry.Kind, count: Int = 1, as event: VaultEvent) {
        events.append(event)
        guard count > 0 else { return }
        record.history.note(kind, count: UInt32(clamping: count), atSeconds: context.time.seconds)
    }
}
