import RecoveryProtocol
import VaultCore

extension Checks {
    /// A head comes by its owner's word, never makes place for an older one, and goes with the registration alone.
    func checkHead(
        _ vault: SimulatedVault, _ account: Int, _ before: AccountRecord, _ after: AccountRecord,
        _ messages: [Message]?
    ) {
        guard before.head != after.head else { return }
        let owner = owners[account]
        guard let head = after.head else {
            // A thief may take what nobody holds, and keep and delete his own there.
            if let active = before.active, !owner.made(active.recordHash) { return }
            let isDeleted =
                messages?.contains { if case .delete = $0.operation { $0.sender == .owner } else { false } }
                ?? owner.hasDeleted
            let isDestroyed = after.tombstone?.destroyedSeconds != nil
            let isTaken = after.changedWithoutKeySeconds != before.changedWithoutKeySeconds
            if isDeleted || isDestroyed || isTaken { return owner.headWent(at: vault.index) }
            return world.fail(.heads, "v\(vault.index) lost a head")
        }
        guard let active = after.active, owner.made(active.recordHash) else { return }
        guard owner.number(of: head) >= 0 else {
            return world.fail(.heads, "v\(vault.index) keeps a head that is not its owner's")
        }
        // What is restored is older; and a deletion in between lets an older one in again.
        if owner.number(of: head) < owner.number(of: before.head), !head.isRestored {
            world.fail(.heads, "v\(vault.index) let an older head in")
        }
    }
}
