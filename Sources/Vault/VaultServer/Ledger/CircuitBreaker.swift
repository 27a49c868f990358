import VaultCore

/// Counts what each tenant's people lose in an hour: above the tenant's limit new attempts are refused, uncharged, so
/// that tokens stolen in bulk do not destroy everybody's records before anyone looks. It lives in memory.
struct CircuitBreaker: Sendable {
    private struct Window: Sendable {
        var startSeconds: UInt64
        var count: Int
    }

    private static let windowSeconds: UInt64 = 3600
    private var windows: [String: Window] = [:]

    func isOpen(_ tenant: String, policy: TenantPolicy, atSeconds now: UInt64) -> Bool {
        guard let window = windows[tenant], now < window.startSeconds + Self.windowSeconds else { return false }
        return window.count >= Int(policy.chargesPerHourMax)
    }

    mutating func count(_ events: [VaultEvent], of tenant: String, atSeconds now: UInt64) {
        var sum = 0
        for event in events {
            switch event {
            case .charged, .destroyed: sum += 1
            case .confirmed(let attempts): sum -= attempts
            case .prepared, .activated, .retired, .repeated, .deleted, .expired: break
            }
        }
        guard sum != 0 else { return }
        var window = windows[tenant] ?? Window(startSeconds: now, count: 0)
        if now >= window.startSeconds + Self.windowSeconds { window = Window(startSeconds: now, count: 0) }
        window.count = max(0, window.count + sum)
        windows[tenant] = window
    }
}
