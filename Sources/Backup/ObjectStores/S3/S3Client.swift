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
        /// The part that is asked for; nil for all.
        var range: Range<Int>?
        var answerBytesMax = errorBytesMax
        var lent: LentMemory?
    }

    private struct Learned {
        var region: String
        var clockOffset: Int64 = 0
    }

    /// What errors take; an answer to an upload or a deletion has less.
    static let errorBytesMax = 1 << 20
    /// Servers allow 15 minutes: who refuses for another reason has a clock near ours.
    private static let skewSecondsMin: UInt64 = 300
    /// A device whose clock was set since it was made is not further behind: who could make it sign for later years would have
    /// signatures that outlive his hour at the server's end.
    private static let aheadSecondsMax: UInt64 = 86_400
    /// 1 January 2026, 0:00 UTC. No clock that was ever set is before.
    private static let firstSetSeconds: UInt64 = 1_767_225_600
    private static let emptySHA256 = sha256([] as [UInt8])

    let address: S3Address
    private let credentials: S3Credentials
    private let attempts: Attempts
    private let now: @Sendable () -> UInt64
    private let learned: Mutex<Learned>

    /// - Parameter now: seconds since 1970, as this device's clock says.
    package init(
        _ address: S3Address, _ credentials: S3Credentials, transport: any StoreTransport = HTTPStoreTransport(),
        backoff: Backoff = Backoff(), now: @escaping @Sendable () -> UInt64
    ) {
        self.address = address
        self.credentials = credentials
        attempts = Attempts(transport: transport, backoff: backoff)
        self.now = now
        learned = Mutex(Learned(region: address.region))
    }

    /// The answer, if it is a success (2xx).
    func send(_ request: Request) async throws(StoreFailure) -> StoreAnswer {
        try await attempts.answer { () throws(StoreFailure) in
            let (region, time) = regionAndTime()
            return Attempts.Attempt(signed(request, region: region, time: time)) { answer in
                self.judge(answer, to: request, region: region, time: time)
            }
        }
    }

    private func judge(
        _ answer: StoreAnswer, to request: Request, region: String, time: UInt64
    ) -> Attempts.Verdict {
        if (200...299).contains(answer.status) {
            if let range = request.range, answer.breaksOff(in: range) {
                return .failed(StoreFailure(.transient, "a shorter part was sent than was asked for"))
            }
            return S3Failure.inSuccess(answer, to: request.method, bucket: address.bucket).map { .failed($0) } ?? .done
        }
        let said = S3Failure(answer, to: request.method, bucket: address.bucket)
        if let date = otherTime(answer, signedAt: time) {
            return .curable(
                said.failure,
                Attempts.Cure("clock") { () throws(StoreFailure) in
                    self.learned.withLock { $0.clockOffset = Int64(clamping: date) - Int64(clamping: self.now()) }
                })
        }
        if let other = said.otherRegion, other != region {
            return .curable(
                said.failure,
                Attempts.Cure("region") { () throws(StoreFailure) in self.learned.withLock { $0.region = other } })
        }
        return .failed(said.failure)
    }

    private func regionAndTime() -> (String, UInt64) {
        learned.withLock { ($0.region, UInt64(clamping: Int64(clamping: now()) &+ $0.clockOffset)) }
    }

    /// The server's time, if it refused a request that was signed at quite another one.
    private func otherTime(_ answer: StoreAnswer, signedAt time: UInt64) -> UInt64? {
        guard answer.status == 400 || answer.status == 403,
            let date = answer.header("date").flatMap(HTTPTime.init(httpDate:))?.seconds,
            max(date, time) - min(date, time) > Self.skewSecondsMin,
            date <= time.addingReportingOverflow(Self.aheadSecondsMax).partialValue || time < Self.firstSetSeconds
        else { return nil }
        return date
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
        let range = request.range.map { [ContentRange.asking(for: $0)] } ?? []
        let headers = SignatureV4(region: region, credentials: credentials).signed(
            method: request.method, path: path, query: query,
            headers: request.headers + range + [("host", address.requestHost)], payloadSHA256: hash, time: time)
        return StoreRequest(
            method: request.method, url: address.requestURL(path, query: query), headers: headers, body: request.body,
            answerBytesMax: request.answerBytesMax, lent: request.lent)
    }
}
