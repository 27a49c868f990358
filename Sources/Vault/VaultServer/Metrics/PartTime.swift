import CCofferSystem

/// What one part of the work took, in one step or in several.
struct PartTime {
    private(set) var elapsed = Duration.zero
    /// Of the thread that does the work.
    private(set) var processorNanoseconds: UInt64 = 0

    init(elapsed: Duration = .zero) { self.elapsed = elapsed }

    /// One step, failed or not; without a wait, it stays on its thread.
    mutating func add<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        let (start, processor) = (ContinuousClock.now, coffer_thread_nanoseconds())
        defer {
            elapsed += start.duration(to: .now)
            processorNanoseconds &+= coffer_thread_nanoseconds() &- processor
        }
        return try body()
    }
}
