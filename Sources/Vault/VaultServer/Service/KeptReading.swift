import Dispatch
import Synchronization
import VaultCore

/// Something of the store that is read anew when it is some seconds old. Whoever asks meanwhile waits for that one
/// reading, which blocks neither an event loop nor a thread of the tasks: the ledger holds the store for as long as its
/// medium or its token takes.
///
/// So a flood of questions costs one read in these seconds, and holds up no attempt that is being charged.
final class KeptReading<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case none
        case reading(Task<Result<Value, LedgerError>, Never>)
        case read(Result<Value, LedgerError>, uptimeSeconds: UInt64)
    }

    private enum Present { case known(Result<Value, LedgerError>), coming(Task<Result<Value, LedgerError>, Never>) }

    /// What failed is asked for again soon, and not by everyone at once.
    private static var failureSeconds: UInt64 { 1 }

    private let freshSeconds: UInt64
    private let clock: @Sendable () -> Moment
    private let read: @Sendable () async -> Result<Value, LedgerError>
    private let state = Mutex(State.none)

    /// `read` may block, on a thread of its own: `aside`.
    init(
        freshSeconds: UInt64, clock: @escaping @Sendable () -> Moment,
        read: @escaping @Sendable () async -> Result<Value, LedgerError>
    ) {
        self.freshSeconds = freshSeconds
        self.clock = clock
        self.read = read
    }

    /// What was read and is not too old, without a wait; nil if there is none.
    func fresh(at now: UInt64) -> Value? {
        state.withLock { state in
            guard case .read(.success(let value), let then) = state, now < then + freshSeconds else { return nil }
            return value
        }
    }

    func value() async throws(LedgerError) -> Value {
        switch state.withLock({ present(&$0, at: clock().uptimeSeconds) }) {
        case .known(let value): return try value.get()
        case .coming(let reading): return try await reading.value.get()
        }
    }

    private func present(_ state: inout State, at now: UInt64) -> Present {
        switch state {
        case .reading(let reading): return .coming(reading)
        case .read(let value, let then) where now < then + seconds(value): return .known(value)
        case .read, .none:
            let reading = Task {
                let value = await read()
                self.state.withLock { $0 = .read(value, uptimeSeconds: now) }
                return value
            }
            state = .reading(reading)
            return .coming(reading)
        }
    }

    private func seconds(_ value: Result<Value, LedgerError>) -> UInt64 {
        if case .failure = value { min(freshSeconds, Self.failureSeconds) } else { freshSeconds }
    }
}

/// Does what may block on a thread of its own.
func aside<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
}
