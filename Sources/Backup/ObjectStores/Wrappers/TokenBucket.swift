import ByteCoding

/// How long bytes wait so that no more than a rate goes through (the generic cell rate algorithm: a token bucket that may go into debt, so that a
/// piece larger than the bucket waits for its time and no longer).
///
/// In any span of time at most its length times the rate, and one burst, and the piece that is under way come through; whoever shares the bucket shares the rate.
package struct TokenBucket: Equatable, Sendable {
    /// What may go at once after a pause.
    private let burstNanoseconds: UInt64
    private static let nanosecondsPerSecond: UInt64 = 1_000_000_000

    private let bytesPerSecond: UInt64
    /// When what was let through is paid for.
    private var paidNanoseconds: UInt64 = 0

    /// - Parameter bytesPerSecond: at least 1.
    package init(bytesPerSecond: UInt64, burstNanoseconds: UInt64 = 250_000_000) {
        self.bytesPerSecond = max(1, bytesPerSecond)
        self.burstNanoseconds = burstNanoseconds
    }

    /// Takes bytes out of the bucket.
    ///
    /// - Parameter now: of a clock that never goes back.
    /// - Returns: when they may go.
    package mutating func take(_ byteCount: Int, now: UInt64) -> UInt64 {
        paidNanoseconds = max(paidNanoseconds, now).saturatingAdd(nanoseconds(for: UInt64(max(0, byteCount))))
        return max(now, paidNanoseconds - min(paidNanoseconds, burstNanoseconds))
    }

    private func nanoseconds(for byteCount: UInt64) -> UInt64 {
        let (seconds, rest) = byteCount.quotientAndRemainder(dividingBy: bytesPerSecond)
        let whole = seconds.multipliedReportingOverflow(by: Self.nanosecondsPerSecond)
        // The rest is less than the rate, so that its time is less than a second.
        let part = bytesPerSecond.dividingFullWidth(rest.multipliedFullWidth(by: Self.nanosecondsPerSecond)).quotient
        return whole.overflow ? .max : whole.partialValue.saturatingAdd(part)
    }
}
