import Synchronization
import Testing
import VaultCore

@testable import VaultServer

@Suite struct KeptReadingTests {
    /// Counts readings; what they give, and when, is the test's.
    private final class Source: Sendable {
        let count = Mutex(0)
        let outcome = Mutex(Result<Int, LedgerError>.success(1))
        let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
        let isHeld: Bool

        init(isHeld: Bool = false) { self.isHeld = isHeld }

        func read() async -> Result<Int, LedgerError> {
            count.withLock { $0 += 1 }
            if isHeld { await withCheckedContinuation { next in waiting.withLock { $0.append(next) } } }
            return outcome.withLock { $0 }
        }

        func release() -> Bool {
            let held = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            held.forEach { $0.resume() }
            return !held.isEmpty
        }
    }

    private func kept(_ source: Source, _ clock: TestClock, seconds: UInt64 = 5) -> KeptReading<Int> {
        KeptReading(freshSeconds: seconds, clock: { clock.now }) { await source.read() }
    }

    @Test func `what was read is given out for its seconds, and not a moment longer`() async throws {
        let (source, clock) = (Source(), TestClock())
        let kept = kept(source, clock)
        #expect(try await kept.value() == 1)
        source.outcome.withLock { $0 = .success(2) }
        clock.pass(seconds: 4)
        #expect(try await kept.value() == 1)
        clock.pass(seconds: 1)
        #expect(
            try await kept.value() == 2, "whoever asks after an hour is not answered with what was true an hour ago")
        #expect(source.count.withLock { $0 } == 2)
    }

    @Test func `a hundred who ask at once wait for one reading`() async throws {
        let (source, clock) = (Source(isHeld: true), TestClock())
        let kept = kept(source, clock)
        let values = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<100 { group.addTask { try await kept.value() } }
            while !source.release() { await Task.yield() }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(values == Array(repeating: 1, count: 100))
        #expect(source.count.withLock { $0 } == 1)
    }

    @Test func `a failure is not asked for again within its second, and not kept longer`() async throws {
        let (source, clock) = (Source(), TestClock())
        let kept = kept(source, clock)
        source.outcome.withLock { $0 = .failure(.unavailable("the disk is away")) }
        for _ in 0..<10 {
            await #expect(throws: LedgerError.unavailable("the disk is away")) { try await kept.value() }
        }
        #expect(source.count.withLock { $0 } == 1)
        source.outcome.withLock { $0 = .success(3) }
        clock.pass(seconds: 1)
        #expect(try await kept.value() == 3)
    }
}
