import Primitives
import Synchronization

/// Sends requests to Drive: with the access token of the moment, tried again where that may help, and no faster than Drive takes
/// new files.
package final class DriveClient: Sendable {
    struct Call: Sendable {
        var method = "GET"
        /// Below the API's root, or all of a URL that Drive gave.
        var url: String
        var query: [(String, String)] = []
        var headers: [(name: String, value: String)] = []
        var body = StoreBody.none
        var answerBytesMax = 1 << 20
        /// Besides successes.
        var alsoAccepting: Set<Int> = []
        /// Which part is asked for; nil for all.
        var range: Range<Int>?
        var lent: LentMemory?
        /// Or the first failure is the last word.
        var isTriedAgain = true
    }

    /// About what Drive takes of an account; a few at once, as a new store has them.
    private static let creationsPerSecond: UInt64 = 3
    private static let creationsAtOnceNanoseconds: UInt64 = 3_000_000_000
    /// Who is refused for longer has sent what an account may send a day (750 GB).
    private static let busyNanosecondsMax: UInt64 = 600_000_000_000

    let endpoints: GoogleEndpoints
    private let tokens: GoogleTokens
    private let attempts: Attempts
    private let clock: WaitingClock
    private let creations: Mutex<TokenBucket>

    package init(
        _ tokens: GoogleTokens, _ attempts: Attempts, endpoints: GoogleEndpoints = .google,
        clock: WaitingClock = .continuous
    ) {
        self.tokens = tokens
        self.attempts = attempts
        self.endpoints = endpoints
        self.clock = clock
        creations = Mutex(
            TokenBucket(bytesPerSecond: Self.creationsPerSecond, burstNanoseconds: Self.creationsAtOnceNanoseconds))
    }

    /// The answer, if it is a success or one of those that are accepted.
    func send(_ call: Call) async throws(StoreFailure) -> StoreAnswer {
        try await send { () throws(StoreFailure) in call }
    }

    /// - Parameter call: made anew for every try.
    func send(_ call: @Sendable () async throws(StoreFailure) -> Call) async throws(StoreFailure) -> StoreAnswer {
        let insists = Mutex(false)
        return try await attempts.answer { () async throws(StoreFailure) in
            let token = try await self.tokens.current()
            var call = try await call()
            if insists.withLock({ $0 }) { call.query.append(("acknowledgeAbuse", "true")) }
            let (accepted, range) = (call.alsoAccepting, call.range)
            return Attempts.Attempt(self.request(call, token), isTriedAgain: call.isTriedAgain) { answer in
                if (200...299).contains(answer.status) {
                    guard let range, answer.breaksOff(in: range) else { return .done }
                    return .failed(StoreFailure(.transient, "a shorter part was sent than was asked for"))
                }
                if accepted.contains(answer.status) { return .done }
                let failure = DriveErrors.failure(answer)
                if answer.status == 401 {
                    return .curable(failure, .init("token") { await self.tokens.replace(token) })
                }
                if DriveErrors.isAbuseWarning(answer) {
                    return .curable(failure, .init("insist") { insists.withLock { $0 = true } })
                }
                return .failed(failure)
            }
        }
    }

    private func request(_ call: Call, _ token: SecretBytes) -> StoreRequest {
        let url = call.url.hasPrefix("/") ? endpoints.api + call.url : call.url
        let query = GoogleOAuth.form(call.query)
        return StoreRequest(
            method: call.method, url: query.isEmpty ? url : "\(url)?\(query)",
            headers: call.headers + (call.range.map { [ContentRange.asking(for: $0)] } ?? [])
                + [("authorization", "Bearer \(token.text)")], body: call.body,
            answerBytesMax: call.answerBytesMax, lent: call.lent)
    }

    // MARK: Pace

    /// Waits until Google takes another file.
    func waitForCreation() async {
        guard endpoints == .google else { return }
        let now = clock.now()
        let time = creations.withLock { $0.take(1, now: now) }
        if time > now { await clock.sleepUntil(time) }
    }

    /// Does what uploads, on and on while the account is busy, and says when it is no moment any more but the day's limit.
    func whileBusy<Result>(
        _ upload: () async throws(StoreFailure) -> Result
    ) async throws(StoreFailure) -> Result {
        let began = clock.now()
        while true {
            do { return try await upload() } catch  where DriveErrors.isUserRateLimit(error) {
                guard clock.now() - began < Self.busyNanosecondsMax else {
                    throw StoreFailure(
                        .dailyLimit,
                        "it has been busy with this account for ten minutes, and takes 750 GB a day at most")
                }
                guard !Task.isCancelled else { throw error }
            }
        }
    }
}
