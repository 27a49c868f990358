import ArgumentParser

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

enum Clock {
    /// Nanoseconds of a clock that is not set.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }
    /// Nanoseconds that all threads of this process computed.
    static func processor() -> UInt64 { read(CLOCK_PROCESS_CPUTIME_ID) }

    /// Nanoseconds that all threads of another process computed, those that ended too; `/proc` has hundredths of a second.
    static func processor(of process: Int32) throws -> UInt64 {
        var clock = clockid_t()
        guard clock_getcpuclockid(process, &clock) == 0 else { throw ValidationError("no process \(process)") }
        return read(clock)
    }

    /// Nanoseconds that one reading of `processor` takes.
    static let reading: Double = {
        let count = 10_000
        let began = processor()
        for _ in 0..<count { _ = processor() }
        return Double(processor() - began) / Double(count)
    }()

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
