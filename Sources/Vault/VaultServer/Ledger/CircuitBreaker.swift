import VaultCore

/// Counts what each tenant's people lose in an hour: above the tenant's limit new attempts are refused, uncharged, so
/// that tokens stolen in bulk do not destroy everybody's records before anyone looks. It lives in memory.
struct CircuitBreaker: Sendable {
    private struct Window: Sendable {
        var startSeconds: UInt64
        var charges = 0
        var destructions = 0
    }

    private static let windowSeconds: UInt64 = 3600
    private var windows: [String: Window] = [:]

    func isOpen(_ tenant: String, policy: TenantPolicy, atSeconds now: UInt64) -> Bool {
        guard let window = windows[tenant], now < window.startSeconds + Self.windowSeconds else { return false }
        return window.charges >= Int(policy.chargesPerHourMax)
            || window.destructions >= Int(policy.destructionsPerHourMax)
    }

    mutating func count(_ events: [VaultEvent], of tenant: String, atSeconds now: UInt64) {
        var charges = 0
        var destructions = 0
        for event in events {
            switch event {
            case .charged: charges += 1
            case .destroyed: destructions += 1
            case .confirmed(let attempts), .forgiven(let attempts): charges -= attempts
            case .prepared, .activated, .retired, .repeated, .deleted, .expired, .replacementRequested,
                .deletionRequested, .cancelled, .replacedWithoutKey, .deletedWithoutKey, .shown, .thawed:
                break
            }
        }
        guard charges != 0 || destructions != 0 else { return }
        var window = windows[tenant] ?? Window(startSeconds: now)
        if now >= window.startSeconds + Self.windowSeconds { window = Window(startSeconds: now) }
        window.charges = max(0, window.charges + charges)
        window.destructions += destructions
        windows[tenant] = window
    }
}
