import ByteCoding
package import Primitives
import RecoveryProtocol

extension FleetClient {
    /// Hands the missing vaults their shares, without a password.
    ///
    /// Meanwhile another device may have registered anew with the same K. This delivery's registration is dead then, and
    /// to bring it back would end the new one: so it is dropped (`undelivered` is nil) as soon as any vault shows a
    /// successor, and with fewer than t vaults' word nothing is handed out. t vaults that do not show one prove that
    /// there is none in use, since any t others have one of them among them. What this one replaces ends when all vaults
    /// are seen to have it.
    package func deliver(
        _ undelivered: UndeliveredShares, backupKey: SecretBytes, earlierKeys: [SecretBytes] = [],
        notes: RegistrationNotes = RegistrationNotes()
    ) async throws(EnrolmentError) -> Enrolment {
        guard let recordHash = try? undelivered.record.recordHash() else { throw .brokenMachine }
        let status = await statusForChange()
        let managers = await managers(backupKey, earlierKeys, status)
        let change = Change(
            record: undelivered.record, recordHash: recordHash, shares: undelivered.shares, managers: managers,
            certificates: undelivered.certificates)
        let succession = succession(status, managers, notes)
        let already = status.answered.filter { $0.reply.active?.recordHash == recordHash }.map(\.vault)
        if succession.isFollowed(change.name, ending: change.certificates) {
            return Enrolment(
                registrationID: change.registrationID, recordHash: recordHash, activated: already, missing: [],
                undelivered: nil, waitsUntil: nil)
        }
        var (activated, problems, isDone) = (already, status.problems, change.certificates.isEmpty)
        if status.answered.count >= fleet.threshold {
            var prepared = await prepare(change, status: status)
            let takenBack = await takeBack(succession, besides: change.name, at: &prepared, status: status)
            let done = await activate(
                change, at: prepared.vaults, status: status, standing: succession.standing, takenBack: takenBack)
            activated += done.vaults.filter { !already.contains($0) }
            problems += prepared.problems + done.problems
            isDone = await settle(
                change, at: activated, succession, status: status, takenBack: takenBack, notes: notes)
        }
        // A vault that was not reached, and whose share is not kept here, has acknowledged it before.
        let missing = fleet.currentVaults.filter { vault in
            !activated.contains(vault)
                && (status.reply(of: vault.id) != nil || change.shares.contains { $0.vaultID == vault.id })
        }
        return enrolment(change, activated: activated, missing: missing, problems: problems, isDone: isDone)
    }
}
