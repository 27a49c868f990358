/// When something that failed for a moment is tried again: full jitter (Brooker, "Exponential Backoff and Jitter", 2015), and
/// never sooner than the other end asks for.
package struct Backoff: Sendable {
    private static let firstSeconds = 0.25
    private static let longestSeconds = 30.0
    /// Whoever asks for more is asked again after this.
    private static let askedSecondsMax = 120.0

    /// How often something is tried where anything was ever answered; where nothing was, the address may be wrong.
    package let triesMax: Int
    package let triesMaxUnanswered: Int
    private let clock: WaitingClock
    /// A random number from 0 up to its argument.
    private let dice: @Sendable (Double) -> Double

    package init(
        triesMax: Int = 9, triesMaxUnanswered: Int = 3, clock: WaitingClock = .continuous,
        dice: @escaping @Sendable (Double) -> Double = { .random(in: 0...$0) }
    ) {
        self.triesMax = triesMax
        self.triesMaxUnanswered = triesMaxUnanswered
        self.clock = clock
        self.dice = dice
    }

    /// - Parameters:
    ///   - failures: how often it failed, from 1 on.
    ///   - asked: what the other end said in `Retry-After`, in seconds.
    /// - Returns: by the clock of `sleep`.
    package func nextTry(afterFailures failures: Int, asked: Double?) -> UInt64 {
        let longest = min(Self.longestSeconds, Self.firstSeconds * Double(1 << min(max(failures - 1, 0), 20)))
        let seconds = max(dice(longest), min(asked ?? 0, Self.askedSecondsMax))
        return clock.now() &+ UInt64(seconds * 1e9)
    }

    package func wait(afterFailures failures: Int, asked: Double?) async {
        await sleep(until: nextTry(afterFailures: failures, asked: asked))
    }

    package func sleep(until time: UInt64) async {
        if time > clock.now() { await clock.sleepUntil(time) }
    }
}
