import ByteCoding
import Primitives
import RecoveryProtocol

/// Prepare, Activate, Retire and Delete: how registrations come and go.
extension Machine {
    /// Puts a record beside the active one. Without the old key's signature it has a place that the next stranger can
    /// take; with it, one of its own.
    mutating func prepare(_ prepare: CheckedPrepare) throws(Refused) -> Reply {
        let request = prepare.request
        try checkRecord(request.record.header)
        if isHeld(prepare.recordHash) { return .prepared(serial: record.serial) }
        guard record.registration(request.record.header.registrationID) == nil else {
            throw Refused(.unknownRegistration)
        }
        // A share that guesses destroyed, or that went without its key, does not come back under a new budget, not even
        // by its owner's hand: an old device may still keep it.
        if record.spent.contains(request.record.header.registrationID) {
            let seconds = record.tombstone?.destroyedSeconds ?? record.changedWithoutKeySeconds ?? 0
            throw Refused(.destroyed(at: Timestamp(unixSeconds: seconds)))
        }
        try requireSerial(request.serial)
        let waiting = PendingRegistration(
            registration: Registration(
                record: request.record, recordHash: prepare.recordHash, share: request.share),
            expiresSeconds: context.time.seconds.saturatingAdd(UInt64(context.policy.pendingSeconds)))
        if let replacement = request.replacement, let key = try oldKey(replacement) {
            try requireOwner(replacement.signature, by: key) { signing in
                try SignedBytes.prepare(
                    signing, oldRegistrationID: replacement.oldRegistrationID, newRecordHash: prepare.recordHash)
            }
            record.pendingSigned = waiting
            advanceSerial()
        } else {
            record.pending = waiting
        }
        note(.prepared, as: .prepared)
        return .prepared(serial: record.serial)
    }

    private func checkRecord(_ header: RecordHeader) throws(Refused) {
        guard header.name == context.name else { throw Refused(.unauthorised) }
        guard header.matches(context.fleet) else {
            throw Refused(.fleetMismatch(vaultVersion: context.fleet.version))
        }
        guard
            header.argon2.memoryKiB >= context.policy.memoryKiBMin,
            header.argon2.passes >= context.policy.passesMin
        else { throw Refused(.policyRefused(.argon2TooCheap)) }
    }

    private func isHeld(_ hash: RecordHash) -> Bool {
        [
            record.active, record.previous, record.pending?.registration, record.pendingSigned?.registration,
            record.requestedChange?.replacement,
        ]
        .contains { $0?.recordHash == hash }
    }

    /// The key whose word a replacement needs; nil if nothing is there to be replaced.
    private func oldKey(_ replacement: Replacement) throws(Refused) -> VerifyingKey? {
        if let active = record.active {
            guard replacement.oldRegistrationID == active.id else { throw Refused(.unknownRegistration) }
            return active.managementKey
        }
        return record.tombstone?.managementKey
    }

    mutating func activate(_ request: ActivateRequest) throws(Refused) -> Reply {
        // A lost reply asked for again.
        if record.active?.recordHash == request.recordHash { return .activated(serial: record.serial) }
        try requireSerial(request.serial)
        let waiting = [
            record.pendingSigned?.registration, record.pending?.registration, record.requestedChange?.replacement,
        ]
        guard let new = waiting.compactMap({ $0 }).first(where: { $0.recordHash == request.recordHash }) else {
            throw Refused(.notPrepared)
        }
        // Over the record's hash, not its id: junk prepared under the same id is never what is activated.
        try require(request.signature, by: new.managementKey) { signing in
            try SignedBytes.activate(signing, recordHash: request.recordHash)
        }
        if needsOldKey(for: request.recordHash) {
            guard let replacement = request.replacement, let key = try oldKey(replacement) else {
                return try replaceWithoutKey(new)
            }
            try requireOwner(replacement.signature, by: key) { signing in
                try SignedBytes.replace(
                    signing, oldRegistrationID: replacement.oldRegistrationID, newRecordHash: request.recordHash)
            }
        }
        let (old, head) = (record.active, record.head)
        become(new)
        record.previous = old
        // A new password is for the same backups.
        record.head = head
        note(.activated, as: .activated)
        return .activated(serial: record.serial)
    }

    /// Whoever holds only a token does not replace a registration at once: the old key must have signed.
    private func needsOldKey(for hash: RecordHash) -> Bool {
        guard record.active == nil, record.thawNonce == nil else { return true }
        return record.tombstone.map { $0.successor != hash } ?? false
    }

    /// Whatever was there goes, with its charges; the new registration has its whole budget.
    mutating func become(_ new: Registration) {
        record.eraseRegistrations()
        record.active = new
        record.budget = budget(for: new.record.header.fleetVersion)
        record.tombstone = nil
        record.thawNonce = nil
        advanceSerial()
    }

    /// Erases the registration that both keys call superseded, and keeps the certificate to show it to clients. A
    /// vault that missed the change learns of it here.
    mutating func retire(_ certificate: SuccessionCertificate) throws(Refused) -> Reply {
        let oldID = certificate.oldRegistrationID
        let old = record.registration(oldID)
        if old == nil, record.certificates.contains(certificate) { return .retired(serial: record.serial) }
        // A place that is kept for a successor already is given away by the successor's Activate alone: a key that
        // signs for itself could have one Retire undo another, and each had its effect again.
        let stone = record.tombstone.flatMap { $0.registrationID == oldID && $0.successor == nil ? $0 : nil }
        guard let oldKey = old?.managementKey ?? stone?.managementKey else {
            throw Refused(record.active == nil ? absence : .unknownRegistration)
        }
        let isValid = try? certificate.isValid(
            fleetID: context.fleet.id, name: context.name, oldManagementKey: oldKey)
        guard isValid == true else { throw Refused(.badSignature) }
        try requireThawed()
        heardFromOwner()
        if record.previous?.id == oldID {
            // Its attempts stay charged: they counted against both.
            record.previous = nil
        } else if let previous = record.previous, previous.recordHash == certificate.newRecordHash {
            // A change is taken back. Erasing both would lose the registration that the owner goes back to.
            record.active = previous
            record.previous = nil
        } else {
            leavePlace(to: certificate, destroyedSeconds: stone?.destroyedSeconds)
        }
        record.certificates.removeAll { $0.oldRegistrationID == oldID }
        record.certificates = (record.certificates + [certificate]).suffix(Limits.certificatesMax)
        advanceSerial()
        note(.retired, as: .retired)
        return .retired(serial: record.serial)
    }

    /// The active registration is superseded by one that this vault does not have yet: only that one, or what its key
    /// signs, may come in its place.
    private mutating func leavePlace(to certificate: SuccessionCertificate, destroyedSeconds: UInt64?) {
        let successor = [record.pendingSigned, record.pending].compactMap { $0 }
            .first { $0.registration.recordHash == certificate.newRecordHash }
        let head = record.head
        record.eraseRegistrations()
        record.pendingSigned = successor
        record.head = head
        record.tombstone = Tombstone(
            destroyedSeconds: destroyedSeconds, registrationID: certificate.oldRegistrationID,
            managementKey: certificate.newManagementKey, successor: certificate.newRecordHash)
    }

    /// The owner's own end: nothing stays but the serial, and whoever signs in next may register.
    mutating func delete(_ request: DeleteRequest) throws(Refused) -> Reply {
        let key = try managementKey(of: request.registrationID)
        try requireSerial(request.serial)
        try requireOwner(request.signature, by: key) { signing in
            try SignedBytes.delete(signing, registrationID: request.registrationID)
        }
        record.eraseRegistrations()
        record.tombstone = nil
        record.certificates = []
        record.changedWithoutKeySeconds = nil
        record.forgetSpent()
        record.history = AccountHistory()
        advanceSerial()
        events.append(.deleted)
        return .deleted(serial: record.serial)
    }
}
