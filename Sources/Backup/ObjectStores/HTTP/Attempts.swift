import Synchronization

/// Sends requests to one server: tried again where that may help, and at once where something could be put right.
package final class Attempts: Sendable {
    /// One request and what its answer means.
    package struct Attempt: Sendable {
        package var request: StoreRequest
        /// Or the first failure is the last word.
        package var isTriedAgain: Bool
        package var judge: @Sendable (StoreAnswer) -> Verdict

        package init(
            _ request: StoreRequest, isTriedAgain: Bool = true, judge: @escaping @Sendable (StoreAnswer) -> Verdict
        ) {
            self.request = request
            self.isTriedAgain = isTriedAgain
            self.judge = judge
        }
    }

    package enum Verdict: Sendable {
        case done
        case failed(StoreFailure)
        case curable(StoreFailure, Cure)
    }

    /// Something to put right before the same is sent again at once: a token, a clock, a region.
    package struct Cure: Sendable {
        /// Each is tried once for one request.
        let name: String
        /// Or once more after each pause: it may have gone bad meanwhile.
        let wearsOff: Bool
        let apply: @Sendable () async throws(StoreFailure) -> Void

        package init(
            _ name: String, wearsOff: Bool = false, apply: @escaping @Sendable () async throws(StoreFailure) -> Void
        ) {
            self.name = name
            self.wearsOff = wearsOff
            self.apply = apply
        }
    }

    private let transport: any StoreTransport
    private let backoff: Backoff
    /// Whether anything ever came from there.
    private let hasAnswered = Mutex(false)
    /// A server that has too much to do, and says so to one request, gets no other until then.
    private let notBefore = Mutex<UInt64>(0)

    package init(transport: any StoreTransport, backoff: Backoff) {
        self.transport = transport
        self.backoff = backoff
    }

    /// - Parameters:
    ///   - isUrgent: or it waits while the server has too much to do.
    ///   - make: made anew each time, since what it says of time, token or place may have changed.
    /// - Returns: the first answer that is judged to be a success.
    package func answer(
        isUrgent: Bool = false, to make: @Sendable () async throws(StoreFailure) -> Attempt
    ) async throws(StoreFailure) -> StoreAnswer {
        var failures = 0
        var cures: [String: Cure] = [:]
        while true {
            if !isUrgent { await backoff.sleep(until: notBefore.withLock { $0 }) }
            let attempt = try await make()
            let (failure, isBusy): (StoreFailure, Bool)
            switch await once(attempt) {
            case .success(let answer): return answer
            case .failure(.plain(let plain, let busy)): (failure, isBusy) = (plain, busy)
            case .failure(.curable(let cured, let cure)):
                if cures.updateValue(cure, forKey: cure.name) == nil {
                    try await cure.apply()
                    continue
                }
                (failure, isBusy) = (cured, false)
            }
            failures += 1
            let next = backoff.nextTry(afterFailures: failures, asked: failure.retryAfter)
            if isBusy { notBefore.withLock { $0 = max($0, next) } }
            let triesMax = hasAnswered.withLock { $0 } ? backoff.triesMax : backoff.triesMaxUnanswered
            guard failure.kind == .transient, attempt.isTriedAgain, failures < triesMax, !Task.isCancelled else {
                throw failure
            }
            await backoff.sleep(until: next)
            cures = cures.filter { !$0.value.wearsOff }
            // Who was told to stop while waiting does not begin again.
            guard !Task.isCancelled else { throw failure }
        }
    }

    /// As long as before something is tried again.
    package func pause(afterFailures failures: Int) async {
        await backoff.wait(afterFailures: failures, asked: nil)
    }

    private enum Outcome: Error {
        case plain(StoreFailure, isBusy: Bool)
        case curable(StoreFailure, Cure)
    }

    private func once(_ attempt: Attempt) async -> Result<StoreAnswer, Outcome> {
        do throws(StoreTransportError) {
            let answer = try await transport.send(attempt.request)
            hasAnswered.withLock { $0 = true }
            guard answer.isWhole(after: attempt.request.method) else { throw .broken("the answer was cut") }
            return switch attempt.judge(answer) {
            case .done: .success(answer)
            case .failed(let failure): .failure(.plain(failure, isBusy: answer.status == 429 || answer.status == 503))
            case .curable(let failure, let cure): .failure(.curable(failure, cure))
            }
        } catch {
            return .failure(.plain(StoreFailure(error), isBusy: false))
        }
    }
}
