/// How far an operation is, for people. Phases follow each other; numbers only rise within a phase.
package struct Progress: Sendable, Equatable {
    package enum Phase: String, Sendable {
        case scanning
        case backingUp
        case restoring
        case verifying
    }

    package var phase: Phase
    package var files: Int = 0
    package var filesTotal: Int = 0
    package var bytes: UInt64 = 0
    package var bytesTotal: UInt64 = 0
    /// Bytes written to the store so far.
    package var storedBytes: UInt64 = 0

    package init(phase: Phase) { self.phase = phase }
}

package typealias ProgressReport = @Sendable (Progress) -> Void
