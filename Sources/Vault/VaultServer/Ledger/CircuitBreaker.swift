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
    /// How to take the present batch's counts back, rather than a copy of all windows for each batch.
    private var steps: [Step] = []

    private enum Step {
        /// An hour began for the tenant, and this is the one before.
        case began(tenant: String, before: Window?)
        case counted(tenant: String, account: RecordKey, share: Int?, charges: Int, destructions: Int)
    }

    /// The batch is in the store: its counts stay.
    mutating func keep() { steps = [] }

    /// The batch came to nothing, and so do its counts.
    mutating func takeBack() {
        while let step = steps.popLast() {
            switch step {
            case .began(let tenant, let before): windows[tenant] = before
            case .counted(let tenant, let account, let share, let charges, let destructions):
                windows[tenant]?.charges = charges
                windows[tenant]?.destructions = destructions
                windows[tenant]?.shares[account] = share
            }
        }
    }

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
        let known = windows[tenant]?.startSeconds
        if known.map({ now >= $0 + Self.windowSeconds }) ?? true {
            steps.append(.began(tenant: tenant, before: windows.removeValue(forKey: tenant)))
        }
        let step = Self.count(
            charges, destructions, of: account, tenant, accountMax: accountMax,
            in: &windows[tenant, default: Window(startSeconds: now)])
        steps.append(step)
    }

    private static func count(
        _ charges: Int, _ destructions: Int, of account: RecordKey, _ tenant: String, accountMax: Int,
        in window: inout Window
    ) -> Step {
        let known = window.shares[account]
        let step = Step.counted(
            tenant: tenant, account: account, share: known, charges: window.charges, destructions: window.destructions)
        window.destructions += destructions
        if known == nil, window.shares.count >= accountCountMax {
            window.charges += max(0, charges)
        } else {
            let share = known ?? 0
            let changed = min(max(0, share + charges), max(share, accountMax))
            window.shares[account] = changed == 0 ? nil : changed
            window.charges += changed - share
        }
        return step
    }
}
