import Primitives
import Synchronization

/// Sends requests to one bucket: signed, tried again where that may help, and put right once if the bucket lies in another region
/// or this device's clock is wrong.
package final class S3Client: Sendable {
    struct Request: Sendable {
        var method: String
        /// Without the prefix; empty for the bucket itself.
        var name: String
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body = StoreBody.none
        var answerBytesMax = errorBytesMax
    }

    private struct Learned {
        var region: String
        var clockOffset: Int64 = 0
        var hasAnswered = false
    }

    /// What errors take; an answer to an upload or a deletion has less.
    static let errorBytesMax = 1 << 20
    /// Servers allow 15 minutes: who refuses for another reason has a clock near ours.
    private static let skewSecondsMin: UInt64 = 300
    private static let emptySHA256 = sha256([] as [UInt8])

    let address: S3Address
    private let credentials: S3Credentials
    private let transport: any StoreTransport
    private let backoff: Backoff
    private let now: @Sendable () -> UInt64
    private let learned: Mutex<Learned>

    /// - Parameter now: seconds since 1970, as this device's clock says.
    package init(
        _ address: S3Address, _ credentials: S3Credentials, transport: any StoreTransport = HTTPStoreTransport(),
        backoff: Backoff = Backoff(), now: @escaping @Sendable () -> UInt64
    ) {
        self.address = address
        self.credentials = credentials
        self.transport = transport
        self.backoff = backoff
        self.now = now
        learned = Mutex(Learned(region: address.region))
    }

    /// The answer, if it is a success (2xx).
    func send(_ request: Request) async throws(S3Failure) -> StoreAnswer {
        var failures = 0
        var hasMovedRegion = false
        var hasSetClock = false
        while true {
            let (region, time) = regionAndTime()
            let failure: S3Failure
            do throws(StoreTransportError) {
                let answer = try await transport.send(signed(request, region: region, time: time))
                learned.withLock { $0.hasAnswered = true }
                guard answer.isWhole(after: request.method) else { throw .broken("the answer was cut") }
                if (200...299).contains(answer.status) { return answer }
                failure = S3Failure(answer)
                if !hasSetClock, setClock(by: answer, signedAt: time) {
                    hasSetClock = true
                    continue
                }
            } catch {
                failure = S3Failure(error)
            }
            if !hasMovedRegion, let other = failure.region, other != region, failure.kind == .wrongRegion {
                hasMovedRegion = true
                learned.withLock { $0.region = other }
                continue
            }
            failures += 1
            let triesMax = learned.withLock { $0.hasAnswered } ? backoff.triesMax : backoff.triesMaxUnanswered
            guard failure.kind == .transient, failures < triesMax, !Task.isCancelled else { throw failure }
            await backoff.wait(afterFailures: failures, asked: failure.retryAfter)
        }
    }

    private func regionAndTime() -> (String, UInt64) {
        learned.withLock { ($0.region, UInt64(clamping: Int64(clamping: now()) &+ $0.clockOffset)) }
    }

    /// Takes over the server's time if it refused a request that was signed at quite another one.
    private func setClock(by answer: StoreAnswer, signedAt time: UInt64) -> Bool {
        guard answer.status == 400 || answer.status == 403,
            let date = answer.header("date").flatMap(HTTPTime.init(httpDate:))?.seconds,
            max(date, time) - min(date, time) > Self.skewSecondsMin
        else { return false }
        learned.withLock { $0.clockOffset = Int64(clamping: date) - Int64(clamping: now()) }
        return true
    }

    private func signed(_ request: Request, region: String, time: UInt64) -> StoreRequest {
        let path = address.path(request.name)
        let query = SignatureV4.query(request.query)
        let hash =
            switch request.body {
            case .none: Self.emptySHA256
            case .bytes(let bytes): sha256(bytes)
            case .spooled(let spooled): spooled.sha256
            }
        let headers = SignatureV4(region: region, credentials: credentials).signed(
            method: request.method, path: path, query: query,
            headers: request.headers + [("host", address.requestHost)], payloadSHA256: hash, time: time)
        return StoreRequest(
            method: request.method, url: address.url(path, query: query), headers: headers, body: request.body,
            answerBytesMax: request.answerBytesMax)
    }
}
