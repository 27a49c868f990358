import Foundation
import Synchronization

/// Asks rclone about one place in one remote: its remote control's operations, uploads as forms, and downloads.
package final class RcloneClient: Sendable {
    /// rclone takes in a pack at once and answers when the remote has all of it, and lists for as long as the remote takes; it gives
    /// up itself what stalls on its own line (`--timeout`). So silence means little here.
    package static let transport = HTTPStoreTransport(stall: .seconds(3_600))
    /// Until anything has gone well: the remote may be set up wrongly, and rclone has tried more than once already.
    private static let firstTriesMax = 3
    private static let answerBytesMax = 1 << 20

    let address: RcloneAddress
    private let service: any RcloneService
    private let attempts: Attempts
    private let firstAttempts: Attempts
    private let hasSucceeded = Mutex(false)
    private let backoff: Backoff

    package convenience init(
        _ address: RcloneAddress, _ service: any RcloneService, transport: any StoreTransport = RcloneClient.transport,
        clock: WaitingClock = .continuous, dice: @escaping @Sendable (Double) -> Double = { .random(in: 0...$0) }
    ) {
        self.init(address, service, transport: transport, watch: .init(), clock: clock, dice: dice)
    }

    /// - Parameter watch: how it is found out that rclone does not answer any more.
    init(
        _ address: RcloneAddress, _ service: any RcloneService, transport: any StoreTransport = RcloneClient.transport,
        watch: AttendedTransport.Watch, clock: WaitingClock = .continuous,
        dice: @escaping @Sendable (Double) -> Double = { .random(in: 0...$0) }
    ) {
        self.address = address
        self.service = service
        let transport = AttendedTransport(transport: transport, watch: watch) { await service.isSilent($0) }
        backoff = Backoff(clock: clock, dice: dice)
        attempts = Attempts(transport: transport, backoff: backoff)
        firstAttempts = Attempts(
            transport: transport, backoff: Backoff(triesMax: Self.firstTriesMax, clock: clock, dice: dice))
    }

    /// What goes in and out of operations; each has what it needs.
    struct Input: Encodable {
        struct Options: Encodable {
            var recurse: Bool?
            var filesOnly = true
            var noModTime = true
            var noMimeType = true
        }

        var fs: String?
        var remote: String?
        var opt: Options?
        var srcFs: String?
        var srcRemote: String?
        var dstFs: String?
        var dstRemote: String?
    }

    /// An operation on the place, or on something in it.
    func call(
        _ operation: String, _ input: Input, answerBytesMax: Int = RcloneClient.answerBytesMax
    ) async throws(StoreFailure) -> [UInt8] {
        guard let body = try? JSONEncoder().encode(input) else {
            throw StoreFailure(.permanent, "what rclone is asked cannot be written")
        }
        return try await send(answerBytesMax: answerBytesMax) { endpoint in
            StoreRequest(
                method: "POST", url: "\(endpoint.url)/\(operation)", headers: [("content-type", "application/json")],
                body: .bytes(Array(body)), answerBytesMax: answerBytesMax)
        }.body
    }

    /// As long as before something is tried again.
    func pause(afterFailures failures: Int) async { await backoff.wait(afterFailures: failures, asked: nil) }

    /// What rclone said last, if it said anything, behind a colon.
    func lastWords() async -> String { await service.lastWords() }

    /// Writes an object, over the old one if there is one.
    func upload(_ form: RcloneForm, _ body: StoreBody) async throws(StoreFailure) {
        let query = "fs=\(PercentEncoding.encoded(address.place))&remote=\(PercentEncoding.encoded(form.folder))"
        _ = try await send { endpoint in
            StoreRequest(
                method: "POST", url: "\(endpoint.url)/operations/uploadfile?\(query)",
                headers: [("content-type", form.contentType)], body: body, answerBytesMax: Self.answerBytesMax)
        }
    }

    /// - Parameter range: not empty; nil for all of it.
    func download(
        _ path: String, _ range: Range<Int>? = nil, answerBytesMax: Int, lent: LentMemory? = nil
    ) async throws(StoreFailure) -> StoreAnswer {
        let parts = "[\(address.place)]/\(path)".split(separator: "/", omittingEmptySubsequences: false)
        let encoded = parts.map { PercentEncoding.encoded(String($0)) }.joined(separator: "/")
        return try await send(range: range) { endpoint in
            StoreRequest(
                method: "GET", url: "\(endpoint.url)/\(encoded)",
                headers: range.map { [ContentRange.asking(for: $0)] } ?? [],
                answerBytesMax: answerBytesMax, lent: lent)
        }
    }

    private func send(
        answerBytesMax: Int = RcloneClient.answerBytesMax, range: Range<Int>? = nil,
        _ request: @escaping @Sendable (RcloneEndpoint) -> StoreRequest
    ) async throws(StoreFailure) -> StoreAnswer {
        let attempts = hasSucceeded.withLock { $0 } ? attempts : firstAttempts
        let service = service
        let answer = try await attempts.answer { () async throws(StoreFailure) in
            // It may have ended since, and be another one now.
            let endpoint = try await service.endpoint()
            var request = request(endpoint)
            request.headers += endpoint.headers
            return Attempts.Attempt(request) { answer in
                guard (200...299).contains(answer.status) else { return .failed(RcloneFailure.failure(answer)) }
                guard let range, answer.breaksOff(in: range) else { return .done }
                return .failed(StoreFailure(.transient, "a shorter part was sent than was asked for"))
            }
        }
        hasSucceeded.withLock { $0 = true }
        return answer
    }
}
