import Primitives
import VaultCore
import VaultServer

/// What whoever holds the disk does to a vault: puts an old store in its place, or one that was altered.
extension SimulatedVault {
    private static let copiesMax = 4

    enum Forgery: CaseIterable {
        /// The store as it was some time ago.
        case older
        /// One account's record alone, as it was some time ago.
        case olderRecord
        /// Without one account.
        case unlinked
        /// The newest records under a head of the next epoch.
        case forgedHead
        /// An old copy that went on by itself, on another machine, for as many batches or one more.
        case branch
    }

    func keepCopy() {
        guard setAside == nil else { return }
        copies.append((disk.copy, memory.held))
        witnesses?.keepCopy()
        if copies.count > Self.copiesMax { copies.remove(at: world.draw(0..<Self.copiesMax)) }
    }

    /// For some time a store stands in the newest one's place that the vault must not serve.
    func putStoreBack() {
        guard isHonest, setAside == nil, !world.isCalm, let copy = world.pick(copies),
            copy.store.epoch + 2 <= disk.epoch, let forgery = world.pick(Forgery.allCases)
        else { return }
        halt()
        guard let store = forged(forgery, from: copy) else { return start() }
        setAside = disk.copy
        disk.put(store)
        let forgets = world.plant == .anchorForgets
        if forgets { memory.held = copy.anchored }
        // One of the four remembers no more than the store that was put back: the others are enough.
        if forgets || world.chance(perMille: 500) { witnesses?.putBack(all: forgets) }
        world.note("v\(index) stands on another store: \(forgery), epoch \(store.epoch)")
        start()
        world.after(milliseconds: world.draw(600..<60_000) * 1000) { self.repair() }
    }

    /// The newest store comes back, and the vault with it.
    func repair() {
        guard let newest = setAside else { return }
        halt()
        disk.put(newest)
        setAside = nil
        world.note("v\(index) has its store again")
        start()
    }

    private func forged(_ forgery: Forgery, from copy: (store: Disk.Copy, anchored: AnchoredHead)) -> Disk.Copy? {
        var store = disk.copy
        let accounts = checks.names.map(records.sealer.account)
        switch forgery {
        case .older: return copy.store
        case .olderRecord:
            let older = copy.store.records.filter { old in
                accounts.contains(old.key) && store.records.contains { $0.key == old.key && $0.sealed != old.sealed }
            }
            guard let old = world.pick(older), let position = store.records.firstIndex(where: { $0.key == old.key })
            else { return nil }
            store.records[position] = old
        case .unlinked:
            guard let position = store.records.firstIndex(where: { accounts.contains($0.key) }) else { return nil }
            store.records.remove(at: position)
        case .forgedHead:
            store.epoch += 1
            // The epoch stands after the version and the vault's id.
            guard store.head.count > 25 else { return nil }
            withUnsafeBytes(of: store.epoch.bigEndian) { store.head.replaceSubrange(17..<25, with: $0) }
        case .branch: return branch(from: copy)
        }
        return store
    }

    /// It has the data key, and an anchor that it took along.
    private func branch(from copy: (store: Disk.Copy, anchored: AnchoredHead)) -> Disk.Copy? {
        guard witnesses == nil else { return copy.store }
        let (other, memory) = (Disk(), Memory())
        other.put(copy.store)
        memory.held = copy.anchored
        let handle = DiskHandle(other, world: world)
        let records = SealedRecords(
            store: handle, dataKey: dataKey, anchor: MemoryHandle(memory, of: handle, world: world))
        let target = disk.epoch + UInt64(world.draw(0..<2))
        return try? withoutFaults {
            while other.epoch < target {
                let view = try records.load([])
                try records.commit([], time: view.time, on: view, using: &generator)
            }
            return other.copy
        }
    }

    // MARK: Restored from a copy

    /// The disk is lost, and the operator brings a copy back, as `coffer-vault restore` does.
    func restore() {
        guard isRestorable, setAside == nil, !world.isCalm, let copy = world.pick(copies),
            copy.store.epoch + 2 <= disk.epoch
        else { return }
        halt()
        let newest = disk.copy
        disk.put(copy.store)
        let restored = try? withoutFaults { try records.restore(evenIfCurrent: false, using: &generator) }
        guard let restored else {
            disk.put(newest)
            return start()
        }
        lostEpoch = restored.lostEpoch
        copies = []
        forgetOpened()
        world.note("v\(index) restored: epoch \(restored.copyEpoch) follows \(restored.lostEpoch)")
        checks.restored(self, copyEpoch: restored.copyEpoch, lostEpoch: restored.lostEpoch)
        if world.plant == .thawNotNeeded { for name in checks.names { tamper(name) { $0.thawNonce = nil } } }
        start()
    }
}
