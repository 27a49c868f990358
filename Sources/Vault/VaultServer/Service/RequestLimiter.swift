import RecoveryProtocol
import Synchronization
import VaultCore

/// Counts each account's requests in a minute. In memory, by the names' keyed hashes.
final class RequestLimiter: Sendable {
    private struct Window: Sendable {
        var startSeconds: UInt64
        var count: UInt32
    }

    private static let windowSeconds: UInt64 = 60
    /// Beyond this many accounts in a minute the counts begin anew, rather than fill the memory.
    private static let accountCountMax = 100_000

    private let windows = Mutex<[RecordKey: Window]>([:])

    /// Counts one request; true if the account asks too often.
    func isOverRate(_ account: RecordKey, countMax: UInt32, at now: Moment) -> Bool {
        windows.withLock { windows in
            var window = windows[account] ?? Window(startSeconds: now.uptimeSeconds, count: 0)
            if now.uptimeSeconds >= window.startSeconds + Self.windowSeconds {
                window = Window(startSeconds: now.uptimeSeconds, count: 0)
            }
            if window.count < .max { window.count += 1 }
            if windows.count >= Self.accountCountMax { windows = [:] }
            windows[account] = window
            return window.count > countMax
        }
    }
}
