import Synchronization

/// How many messages the vault holds at the moment: those that are being opened or answered, and those that wait for the
/// ledger.
package final class MessagesInWork: Sendable {
    private struct Counts {
        var held = 0
        var arrived = 0
    }

    private let counts = Mutex(Counts())

    package init() {}

    var count: Int { counts.withLock { $0.held } }

    /// False, and nothing is counted, if there are `most` already.
    func enter(most: Int) -> Bool {
        counts.withLock { counts in
            guard counts.held < most else { return false }
            counts.held += 1
            return true
        }
    }

    func leave() { counts.withLock { $0.held -= 1 } }

    // MARK: Before they are held

    /// How many were received whole, and nobody has begun with them: their event loop's thread has others in hand.
    var arrivedCount: Int { counts.withLock { $0.arrived } }

    func arrive() { counts.withLock { $0.arrived += 1 } }

    func begin() { counts.withLock { $0.arrived -= 1 } }
}
