import Synchronization
import VaultCore

/// An anchor in memory, and the ways in which one can fail.
final class MemoryAnchor: Anchor {
    /// What the next advance does instead of advancing.
    enum Fault {
        case unavailable
        /// It remembers, but cannot say so.
        case unknownButHeld
    }

    struct Contents: Sendable {
        var held = AnchoredHead.none
        var faults: [Fault] = []
        var isReadable = true
        var isWhole = true
        var advanceCount = 0
    }

    private let contents = Mutex(Contents())

    init() {}

    var held: AnchoredHead { contents.withLock { $0.held } }
    var advanceCount: Int { contents.withLock { $0.advanceCount } }
    func fail(next faults: Fault...) { contents.withLock { $0.faults += faults } }
    func set(_ change: (inout Contents) -> Void) { contents.withLock { change(&$0) } }

    func heads() throws(AnchorError) -> [AnchoredHead] {
        guard contents.withLock({ $0.isReadable }) else { throw .unavailable("as the test asked") }
        guard contents.withLock({ $0.isWhole }) else { throw .damaged("as the test asked") }
        return [held]
    }

    func advance(to head: KeyedHead) throws(AnchorError) {
        let failure: AnchorError? = contents.withLock { contents in
            let fault = contents.faults.isEmpty ? nil : contents.faults.removeFirst()
            if fault == .unavailable { return .unavailable("as the test asked") }
            if contents.held != head.anchored {
                guard contents.held.epoch + 1 == head.head.epoch, contents.held.hash == head.head.previous else {
                    return .moved
                }
                contents.held = head.anchored
                contents.advanceCount += 1
            }
            return fault == .unknownButHeld ? .unavailable("as the test asked") : nil
        }
        if let failure { throw failure }
    }
}
