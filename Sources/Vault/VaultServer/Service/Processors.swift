import CCofferSystem
import Foundation
import NIOCore

/// The processors that this process may run on: fewer than the machine has where a container's `cpuset`, systemd's `CPUAffinity`
/// or `taskset` says so. More event loops than these only take turns.
package enum Processors {
    static let count: Int = {
        let allowed = Int(coffer_allowed_processors())
        return allowed > 0 ? allowed : ProcessInfo.processInfo.activeProcessorCount
    }()

    /// As many event loops as processors. To be called before any is in use.
    package static func makeOneLoopEach() { NIOSingletons.groupLoopCountSuggestion = count }
}
