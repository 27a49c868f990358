import Synchronization
import VaultCore

/// Whether a load balancer should send people here. Answered from memory, so that strangers who ask cost nothing.
package final class Readiness: Sendable {
    private enum State: Sendable {
        case starting
        case ready
        case failing(String)
        case draining
    }

    /// A probe that does not come back is an answer too: the store or the anchor hangs.
    private static let freshSeconds: UInt64 = 30

    private let state = Mutex((state: State.starting, uptimeSeconds: UInt64(0)))

    /// From now on not ready, whatever a probe finds.
    package func drain() { state.withLock { $0.state = .draining } }

    /// What a probe found; nil if all is well. True if that is news.
    func found(_ failure: String?, at now: Moment) -> Bool {
        state.withLock { state in
            state.uptimeSeconds = now.uptimeSeconds
            switch (state.state, failure) {
            case (.draining, _), (.ready, nil): return false
            case (.failing(let known), let failure?) where known == failure: return false
            case (_, nil): state.state = .ready
            case (_, let failure?): state.state = .failing(failure)
            }
            return true
        }
    }

    /// Why not, in words for an operator; nil if ready.
    func refusal(at now: Moment) -> String? {
        state.withLock { state in
            switch state.state {
            case .starting: "starting"
            case .draining: "draining"
            case .failing(let text): text
            case .ready:
                now.uptimeSeconds > state.uptimeSeconds + Self.freshSeconds
                    ? "the store or the anchor has not answered for \(Self.freshSeconds) seconds" : nil
            }
        }
    }
}
