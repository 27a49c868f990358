import Synchronization

/// How many messages the vault holds at the moment: those that are being opened or answered, and those that wait for the
/// ledger.
package final class MessagesInWork: Sendable {
    private let held = Mutex(0)

    package init() {}

    var count: Int { held.withLock { $0 } }

    /// False, and nothing is counted, if there are `most` already.
    func enter(most: Int) -> Bool {
        held.withLock { held in
            guard held < most else { return false }
            held += 1
            return true
        }
    }

    func leave() { held.withLock { $0 -= 1 } }
}
