import Foundation
package import VaultCore

/// The machine's clocks.
package enum SystemClock {
    private static let start = ContinuousClock.now

    package static func now() -> Moment {
        let wall = Date().timeIntervalSince1970
        let uptime = start.duration(to: .now).components.seconds
        return Moment(
            wallSeconds: UInt64(exactly: wall.rounded(.down)) ?? 0, uptimeSeconds: UInt64(exactly: uptime) ?? 0)
    }
}
