package import ByteCoding
package import Primitives

/// A registration by its id and by what exactly it is.
package struct RegistrationName: ByteCodable, Hashable, Sendable {
    package let id: RegistrationID
    package let recordHash: RecordHash

    package init(id: RegistrationID, recordHash: RecordHash) {
        self.id = id
        self.recordHash = recordHash
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        id = try RegistrationID(from: &reader)
        recordHash = try RecordHash(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try id.encode(into: &writer)
        try recordHash.encode(into: &writer)
    }
}

extension Fleet {
    /// How many vaults must take part in a change: one more than t, so that the loss of one right after it does not
    /// take K away.
    package var neededForChange: Int { min(current.count, threshold + 1) }
}

/// Which registration of one K must not be lost while the next one is on its way to the vaults.
///
/// Vaults keep the active registration and one previous one, so an Activate pushes something out wherever an earlier
/// change was not brought to its end. The rule: what *stands* goes when every vault has acknowledged another one, and
/// not before. Up to t−1 of the vaults may lie, so that fewer acknowledgements can be fewer than t honest ones.
package struct Succession: Sendable {
    /// What must not be lost; nil if there is nothing.
    package let standing: RegistrationName?
    /// Certificates that vaults show and that this K signed.
    package let shown: [SuccessionCertificate]

    private let fleet: Fleet
    private let name: AccountName
    private let managers: Managers
    private let replies: [StatusReply]

    /// - Parameters:
    ///   - replies: one of each vault that answered.
    ///   - noted: what stood when this device looked last. A device that has noted nothing goes by the vaults' word,
    ///     and t vaults must have it: up to t−1 liars may then choose for it between what there is.
    package init(
        _ replies: [StatusReply], fleet: Fleet, name: AccountName, managers: Managers, noted: RegistrationName?
    ) {
        self.fleet = fleet
        self.name = name
        self.managers = managers
        self.replies = replies
        var shown: [SuccessionCertificate] = []
        for certificate in replies.flatMap(\.certificates) where !shown.contains(certificate) {
            let isOwn = managers.possibleKeys(certificate.oldRegistrationID).contains { oldKey in
                (try? certificate.isValid(fleetID: fleet.id, name: name, oldManagementKey: oldKey.verifyingKey)) == true
            }
            if isOwn { shown.append(certificate) }
        }
        self.shown = shown
        let own = replies.filter { !$0.isActiveForeign(to: managers) }
        standing =
            noted.flatMap { Self.followed($0, by: shown, own, threshold: fleet.threshold) }
            ?? Self.chosen(own, without: shown.map(\.oldRegistrationID), threshold: fleet.threshold)
    }

    /// For those who have never had another K.
    package init(
        _ replies: [StatusReply], fleet: Fleet, name: AccountName, backupKey: SecretBytes, noted: RegistrationName?
    ) {
        self.init(replies, fleet: fleet, name: name, managers: Managers(current: backupKey), noted: noted)
    }

    /// What took the noted one's place, by this K's word; nil if t vaults say that they have it no more: one of them is
    /// honest, and the other honest ones are fewer than t.
    private static func followed(
        _ noted: RegistrationName, by shown: [SuccessionCertificate], _ own: [StatusReply], threshold: Int
    ) -> RegistrationName? {
        let known = own.flatMap(\.evaluable)
        var standing = noted
        for _ in shown {
            guard let next = shown.first(where: { $0.oldRegistrationID == standing.id }) else { break }
            guard let successor = known.first(where: { $0.recordHash == next.newRecordHash }) else { return nil }
            standing = successor
        }
        let lacking = own.count { !$0.evaluable.contains(standing) }
        return lacking >= threshold ? nil : standing
    }

    /// What most vaults have; where two are alike, what most call active.
    private static func chosen(
        _ own: [StatusReply], without ended: [RegistrationID], threshold: Int
    ) -> RegistrationName? {
        var best: (name: RegistrationName, held: Int, active: Int)?
        for name in own.flatMap(\.evaluable) where !ended.contains(name.id) {
            let held = own.count { $0.evaluable.contains(name) }
            let active = own.count { $0.active?.recordHash == name.recordHash }
            if let best, (best.held, best.active) >= (held, active) { continue }
            best = (name, held, active)
        }
        return best.flatMap { $0.held >= threshold ? $0.name : nil }
    }

    // MARK: Steps

    /// What this vault must take back before it can be given another registration: it was begun on top of what stands,
    /// which the vault keeps as previous, and the next Activate would push that out.
    package func begun(at reply: StatusReply) -> RegistrationID? {
        guard let standing, let active = reply.active, active.registrationID != standing.id,
            !reply.isActiveForeign(to: managers),
            reply.held.contains(where: { $0.role == .previous && $0.recordHash == standing.recordHash })
        else { return nil }
        return active.registrationID
    }

    /// Takes back what was begun: what stands becomes active again.
    package func takingBack(_ begun: RegistrationID) -> SuccessionCertificate? {
        standing.flatMap { certificate(begun, endsFor: $0) }
    }

    /// What ends every registration of this K that a vault still has, what stands last, and whatever ended earlier
    /// ones: a vault that missed several changes is brought up to date with it.
    package func certificates(for new: RegistrationName) -> [SuccessionCertificate] {
        var olds: [RegistrationID] = []
        for reply in replies where !reply.isActiveForeign(to: managers) {
            for held in reply.evaluable where held.id != new.id && !olds.contains(held.id) { olds.append(held.id) }
        }
        if let standing, olds.contains(standing.id) {
            olds.removeAll { $0 == standing.id }
            olds.append(standing.id)
        }
        return shown.filter { !olds.contains($0.oldRegistrationID) }
            + olds.compactMap { certificate($0, endsFor: new) }
    }

    /// Whether the others may end: all vaults have acknowledged the new one.
    package func isComplete(acknowledged: Int) -> Bool { acknowledged >= fleet.current.count }

    /// What stands after so many vaults acknowledged `new`. Where nothing stood, t are enough: the next change must not
    /// push out the only registration that there is.
    package func standing(after new: RegistrationName, acknowledged: Int) -> RegistrationName? {
        isComplete(acknowledged: acknowledged) || standing == nil && acknowledged >= fleet.threshold ? new : standing
    }

    /// Whether a vault shows that another registration has taken the place of `name`: a certificate that ends it, or an
    /// active registration of the same K that neither `certificates` nor another vault's end. Another key's has not
    /// taken its place: it is what a delayed replacement waits for.
    package func isFollowed(_ name: RegistrationName, ending certificates: [SuccessionCertificate]) -> Bool {
        if shown.contains(where: { $0.oldRegistrationID == name.id }) { return true }
        let ended = (certificates + shown).map(\.oldRegistrationID)
        return replies.contains { reply in
            guard let active = reply.active, !reply.isActiveForeign(to: managers) else { return false }
            return active.recordHash != name.recordHash && !ended.contains(active.registrationID)
        }
    }

    private func certificate(_ old: RegistrationID, endsFor new: RegistrationName) -> SuccessionCertificate? {
        try? SuccessionCertificate(
            fleetID: fleet.id, name: name, oldRegistrationID: old, newRecordHash: new.recordHash,
            oldKey: managers.key(old), newKey: managers.key(new.id))
    }
}

extension StatusReply {
    package var active: HeldRecord? { held.first { $0.role == .active } }

    /// What can be guessed at here.
    package var evaluable: [RegistrationName] {
        held.filter { $0.role == .active || $0.role == .previous }
            .map { RegistrationName(id: $0.registrationID, recordHash: $0.recordHash) }
    }

    /// Whether what is active here is shown to be managed by another K's key.
    package func isActiveForeign(to backupKey: SecretBytes) -> Bool {
        isActiveForeign(to: Managers(current: backupKey))
    }

    package func isActiveForeign(to managers: Managers) -> Bool {
        guard let active, let header = record?.header, header.registrationID == active.registrationID else {
            return false
        }
        return managers.key(active.registrationID).verifyingKey != header.managementKey
    }
}
