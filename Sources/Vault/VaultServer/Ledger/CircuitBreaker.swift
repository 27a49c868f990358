import VaultCore

/// Counts what each tenant's people lose in an hour: above the tenant's limit new attempts are refused, uncharged, so
/// that tokens stolen in bulk do not destroy everybody's records before anyone looks. It lives in memory.
///
/// One account counts with as many attempts as one registration has, at most, and gives back its own alone: otherwise
/// one person who guesses at a registration, deletes it and begins anew would suspend everybody's recovery.
struct CircuitBreaker: Sendable {
    private struct Window: Sendable {
        var startSeconds: UInt64
        var charges = 0
        var destructions = 0
        /// What of the charges is whose.
        var shares: [RecordKey: Int] = [:]
    }

    private static let windowSeconds: UInt64 = 3600
    /// Beyond this many accounts in an hour nothing is given back, rather than that the memory fills.
    private static let accountCountMax = 10_000
    private var windows: [String: Window] = [:]

    func isOpen(_ tenant: String, policy: TenantPolicy, atSeconds now: UInt64) -> Bool {
        guard let window = windows[tenant], now < window.startSeconds + Self.windowSeconds else { return false }
        return window.charges >= Int(policy.chargesPerHourMax)
            || window.destructions >= Int(policy.destructionsPerHourMax)
    }

    /// `accountMax` is how many charges one account counts at most: the attempts of one registration.
    mutating func count(
        _ events: [VaultEvent], of account: RecordKey, _ tenant: String, accountMax: Int, atSeconds now: UInt64
    ) {
        var charges = 0
        var destructions = 0
        for event in events {
            switch event {
            case .charged: charges += 1
            case .destroyed: destructions += 1
            case .confirmed(let attempts), .forgiven(let attempts): charges -= attempts
            // Its owner has the management key: these attempts are nobody's loss.
            case .deleted: charges -= accountMax
            case .prepared, .activated, .retired, .repeated, .expired, .replacementRequested,
                .deletionRequested, .cancelled, .replacedWithoutKey, .deletedWithoutKey, .shown, .thawed, .headSet:
                break
            }
        }
        guard charges != 0 || destructions != 0 else { return }
        var window = windows[tenant] ?? Window(startSeconds: now)
        if now >= window.startSeconds + Self.windowSeconds { window = Window(startSeconds: now) }
        window.destructions += destructions
        if window.shares[account] == nil, window.shares.count >= Self.accountCountMax {
            window.charges += max(0, charges)
        } else {
            let share = window.shares[account] ?? 0
            let changed = min(max(0, share + charges), max(share, accountMax))
            window.shares[account] = changed == 0 ? nil : changed
            window.charges += changed - share
        }
        windows[tenant] = window
    }
}
