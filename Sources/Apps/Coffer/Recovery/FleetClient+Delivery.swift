import ByteCoding
package import Primitives
import RecoveryProtocol

extension FleetClient {
    /// Hands the missing vaults their shares, without a password.
    ///
    /// Meanwhile another device may have registered anew with the same K. This delivery's registration is dead then, and
    /// to bring it back would end the new one: so it is dropped (`undelivered` is nil) as soon as any vault shows a
    /// successor, and with fewer than t vaults' word nothing is handed out. t vaults that do not show one prove that
    /// there is none in use, since any t others have one of them among them.
    package func deliver(
        _ undelivered: UndeliveredShares, backupKey: SecretBytes
    ) async throws(EnrolmentError) -> Enrolment {
        guard let recordHash = try? undelivered.record.recordHash() else { throw .brokenMachine }
        let status = await statusForChange()
        let change = Change(
            record: undelivered.record, recordHash: recordHash, shares: undelivered.shares, backupKey: backupKey,
            certificates: undelivered.certificates)
        let already = status.answered.filter { $0.reply.active?.recordHash == recordHash }.map(\.vault)
        if isSuperseded(change, status: status) {
            return Enrolment(
                registrationID: change.registrationID, recordHash: recordHash, activated: already, missing: [],
                undelivered: nil, waitsUntil: nil)
        }
        var (activated, problems) = (already, status.problems)
        if status.answered.count >= fleet.threshold {
            let prepared = await prepare(change, status: status)
            let done = await activate(change, at: prepared.vaults, status: status)
            activated += done.vaults.filter { !already.contains($0) }
            problems += prepared.problems + done.problems
            await retire(change, at: activated, status: status)
        }
        // A vault that was not reached, and whose share is not kept here, has acknowledged it before.
        let missing = fleet.currentVaults.filter { vault in
            !activated.contains(vault)
                && (status.reply(of: vault.id) != nil || change.shares.contains { $0.vaultID == vault.id })
        }
        return enrolment(change, activated: activated, missing: missing, problems: problems)
    }

    /// Whether a vault shows that another registration has taken this one's place: a certificate that ends it, or an
    /// active registration of the same K that no certificate ends. Another key's has not taken its place: it is what a
    /// delayed replacement waits for, and only the delay, not this delivery, can end it.
    private func isSuperseded(_ change: Change, status: FleetStatus) -> Bool {
        let shown = certificates(shownIn: status, backupKey: change.backupKey)
        if shown.contains(where: { $0.oldRegistrationID == change.registrationID }) { return true }
        let ended = (change.certificates + shown).map(\.oldRegistrationID)
        return status.answered.contains { _, reply in
            guard let active = reply.active, !change.isForeign(reply) else { return false }
            return active.recordHash != change.recordHash && !ended.contains(active.registrationID)
        }
    }
}
