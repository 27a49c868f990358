import ByteCoding
import RecoveryProtocol

/// What time alone does to a record.
extension AccountRecord {
    /// Erases what has expired, and destroys what has used up its attempts and its grace.
    mutating func settle(at time: LedgerTime) -> [VaultEvent] {
        var events: [VaultEvent] = []
        if let waiting = pending, waiting.expiresSeconds <= time.seconds {
            pending = nil
            events.append(.expired)
        }
        if let waiting = pendingSigned, waiting.expiresSeconds <= time.seconds {
            pendingSigned = nil
            events.append(.expired)
        }
        if let change = requestedChange, change.lapsesServingSeconds <= time.servingSeconds {
            requestedChange = nil
            events.append(.expired)
        }
        if let destroy = destroyServingSeconds, destroy <= time.servingSeconds, let active {
            let stone = Tombstone(
                destroyedSeconds: time.seconds, registrationID: active.id, managementKey: active.managementKey,
                successor: nil)
            // What waits to come in its place was not guessed at, and a tombstone has the same delay.
            let change = requestedChange
            spendRegistrations()
            eraseRegistrations()
            requestedChange = change
            tombstone = stone
            if serial < .max { serial += 1 }
            history.note(.destroyed, atSeconds: time.seconds)
            events.append(.destroyed)
        }
        return events
    }

    /// Shares and envelopes go, of every registration, and the head; the serial stays.
    mutating func eraseRegistrations() {
        active = nil
        previous = nil
        pending = nil
        pendingSigned = nil
        requestedChange = nil
        head = nil
        budget = 0
        charges = []
        destroyServingSeconds = nil
    }

    /// The ledger's time at which `settle` may have something to do; nil: never.
    package func dueSeconds(at time: LedgerTime) -> UInt64? {
        let served = [destroyServingSeconds, requestedChange?.lapsesServingSeconds].map { due in
            due.map { time.seconds.saturatingAdd($0.saturatingSubtract(time.servingSeconds)) }
        }
        return ([pending?.expiresSeconds, pendingSigned?.expiresSeconds] + served).compactMap { $0 }.min()
    }

    /// The hashes of the registrations whose shares are in this record.
    private var heldHashes: [RecordHash] {
        [active, previous, pending?.registration, pendingSigned?.registration, requestedChange?.replacement]
            .compactMap { $0?.recordHash }
    }

    /// Whether a share that `earlier` held is held no more.
    func lacksSecrets(of earlier: AccountRecord) -> Bool {
        let held = heldHashes
        return earlier.heldHashes.contains { !held.contains($0) }
    }
}
