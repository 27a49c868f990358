import ByteCoding
import Synchronization
import VaultCore

/// What is known of the store: proved once, and kept up with every batch. Shared by all who read and write the store in
/// this process.
final class VerifiedStore: Sendable {
    struct State: Sendable {
        var index: LeafIndex
        var head: KeyedHead

        /// As they stand in the store.
        var bytes: [UInt8] { head.head.epoch == 0 ? [] : (try? head.encoded()) ?? [] }

        /// Proves each record by itself. What is not as the tree says is named with its place among the keys, and
        /// is not served; the others are none the worse for it.
        func check(
            _ records: [StoredRecord?], for keys: [RecordKey]
        ) throws(LedgerError) -> [Int: LedgerError] {
            guard records.count == keys.count else { throw .damaged("the store answered for other records") }
            var damaged: [Int: LedgerError] = [:]
            for (position, key) in keys.enumerated() {
                do { try index.check(records[position], for: key) } catch { damaged[position] = LedgerError(error) }
            }
            return damaged
        }

        /// Why this cannot be what a store with the head `seen` became: this process has seen a later state of the
        /// store, or another one.
        func contradiction(of seen: KeyedHead) -> Rollback? {
            let (epoch, seenEpoch) = (head.head.epoch, seen.head.epoch)
            if epoch < seenEpoch { return .storeIsBehind(storeEpoch: epoch, anchoredEpoch: seenEpoch) }
            let isOther =
                epoch == seenEpoch ? head != seen : epoch - 1 == seenEpoch && head.head.previous != seen.hash
            return isOther ? .anotherBranch(storeEpoch: epoch, anchoredEpoch: seenEpoch) : nil
        }
    }

    /// Nothing at the start, and after every commit that failed or whose outcome nobody knows.
    let state = Mutex<State?>(nil)
    /// The last head that was proved or committed in this process, which outlives the state: of a large store there is
    /// never a second tree in memory, and what was seen once is not forgotten with the tree.
    let seen = Mutex<KeyedHead?>(nil)
}

/// Proves a store: all leaves by the root, the root by the head, the head by its code and by the anchor.
struct StoreVerification {
    let store: any RecordStore
    let sealer: RecordSealer
    let anchor: any Anchor

    /// How often another process may come in between before this one gives up.
    private static let racesMax = 16

    /// Completes what a crash left one batch short of the anchor; everything else that differs is refused, and nothing
    /// is changed.
    func verify(after seen: KeyedHead?) throws(LedgerError) -> VerifiedStore.State {
        for _ in 0..<Self.racesMax {
            let found = try read()
            if let seen, let rollback = found.contradiction(of: seen) { throw .rolledBack(rollback) }
            switch try standing(of: found) {
            case .current, .oneAhead:
                if try complete(found) { return found }
            case .refused(let rollback):
                guard try hasMoved(since: found) else { throw .rolledBack(rollback) }
            }
        }
        throw .conflict
    }

    /// The store as its own head proves it, whatever the anchor says.
    func read() throws(LedgerError) -> VerifiedStore.State {
        let table: LeafTable
        do { table = try store.leaves() } catch { throw LedgerError(error) }
        let head: KeyedHead
        do { head = try sealer.openHead(table.head, epoch: table.epoch) } catch {
            throw .damaged("the store's head was not made with this vault's data key, or is of another epoch")
        }
        let index: LeafIndex
        do { index = try table.leaves.index() } catch { throw LedgerError(error) }
        guard index.slotCount == head.head.slotCount, index.tree.root == head.head.root else {
            throw .damaged("the records are not those of the store's head: one was removed, added or exchanged")
        }
        return VerifiedStore.State(index: index, head: head)
    }

    func standing(of found: VerifiedStore.State) throws(LedgerError) -> Standing {
        do { return Standing(of: found.head, anchored: try anchor.heads()) } catch { throw LedgerError(error) }
    }

    /// Also when the anchor holds the head already, for of witnesses too few may. False if the store moved on.
    private func complete(_ found: VerifiedStore.State) throws(LedgerError) -> Bool {
        guard found.head.head.epoch > 0 else { return true }
        do throws(AnchorError) {
            try anchor.advance(to: found.head)
            return true
        } catch .moved {
            let epoch = found.head.head.epoch
            guard try hasMoved(since: found) else {
                throw .rolledBack(.anotherBranch(storeEpoch: epoch, anchoredEpoch: epoch))
            }
            return false
        } catch { throw LedgerError(error) }
    }

    /// Another process went on between the reads of store and anchor: what looked like a rollback may be none.
    func hasMoved(since found: VerifiedStore.State) throws(LedgerError) -> Bool {
        do { return try store.load([]).epoch > found.head.head.epoch } catch { throw LedgerError(error) }
    }
}
