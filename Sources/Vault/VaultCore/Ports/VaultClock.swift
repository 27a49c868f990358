/// A moment as the machine's clocks show it. It is handed in; nothing in this target asks for the time.
package struct Moment: Equatable, Sendable {
    /// Seconds since 1970. An operator, a time server or an attacker may set it.
    package var wallSeconds: UInt64
    /// Seconds since some fixed moment of this process's life; never set, never falling.
    package var uptimeSeconds: UInt64

    package init(wallSeconds: UInt64, uptimeSeconds: UInt64) {
        self.wallSeconds = wallSeconds
        self.uptimeSeconds = uptimeSeconds
    }
}
