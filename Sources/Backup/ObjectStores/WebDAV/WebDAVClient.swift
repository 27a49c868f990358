import Foundation

/// Sends requests to one folder of a WebDAV server: with proof of who asks, tried again where that may help, and never to another
/// place than the one that the person named.
package final class WebDAVClient: Sendable {
    struct Request: Sendable {
        var method: String
        /// Below the store's folder; a folder's name ends with `/`.
        var name: String
        var headers: [(name: String, value: String)] = []
        var body = StoreBody.none
        var answerBytesMax = errorBytesMax
        var lent: LentMemory?
        /// Instead of the one that the name makes.
        var url: String?
        var isTriedAgain = true
    }

    /// Of an answer that is no list: also what is told of one file, or of a folder without its contents.
    static let errorBytesMax = 1 << 20
    /// Some 60,000 files in one folder, as talkative servers tell of them.
    static let listBytesMax = 32 << 20

    let address: WebDAVAddress
    let now: @Sendable () -> UInt64
    private let authorization: WebDAVAuthorization
    private let attempts: Attempts
    private let backoff: Backoff

    /// - Parameter now: seconds since 1970, as this device's clock says.
    package init(
        _ address: WebDAVAddress, _ credentials: WebDAVCredentials,
        transport: any StoreTransport = HTTPStoreTransport(),
        backoff: Backoff = Backoff(), now: @escaping @Sendable () -> UInt64
    ) {
        self.address = address
        self.now = now
        self.backoff = backoff
        authorization = WebDAVAuthorization(credentials)
        attempts = Attempts(transport: transport, backoff: backoff)
    }

    /// The answer, if it is a success of the method.
    func send(_ request: Request) async throws(StoreFailure) -> StoreAnswer {
        try await send(isUrgent: !request.isTriedAgain) { request }
    }

    /// - Parameters:
    ///   - isUrgent: or it waits while the server has too much to do.
    ///   - make: the request, made anew each time that it is sent.
    func send(
        isUrgent: Bool = false, _ make: @Sendable () -> Request
    ) async throws(StoreFailure) -> StoreAnswer {
        try await attempts.answer(isUrgent: isUrgent) { () throws(StoreFailure) in
            let request = make()
            let url = request.url ?? self.address.url(request.name)
            let proof = self.authorization.header(
                method: request.method, path: String(url.dropFirst(self.address.origin.utf8.count)))
            let sent = StoreRequest(
                method: request.method, url: url, headers: request.headers + [("authorization", proof)],
                body: request.body, answerBytesMax: request.answerBytesMax, lent: request.lent)
            return Attempts.Attempt(sent, isTriedAgain: request.isTriedAgain) {
                self.judge($0, to: request, proof: proof)
            }
        }
    }

    /// A moment, as before something is tried again.
    func pause(afterFailures failures: Int) async { await backoff.wait(afterFailures: failures, asked: nil) }

    /// How often an answer is asked for that means nothing.
    ///
    /// - Parameter isKnown: whether this place has shown what it should before.
    func triesMax(isKnown: Bool) -> Int { isKnown ? backoff.triesMax : backoff.triesMaxUnanswered }

    private func judge(_ answer: StoreAnswer, to request: Request, proof: String) -> Attempts.Verdict {
        if Self.isSuccess(answer.status, of: request.method) { return .done }
        let failure = StoreFailure(webDAV: answer, to: request.method, request.name)
        guard failure.kind == .credentials, let challenge = authorization.challenge(in: answer, sent: proof)
        else { return .failed(failure) }
        return .curable(
            failure,
            // A nonce that has grown old says nothing of the password, however often that happens.
            Attempts.Cure(challenge.isStale ? "stale digest" : "digest", wearsOff: challenge.isStale) {
                () throws(StoreFailure) in self.authorization.take(challenge)
            })
    }

    private static func isSuccess(_ status: Int, of method: String) -> Bool {
        switch method {
        case "PROPFIND": status == 207
        case "GET": status == 200 || status == 206
        default: status == 200 || status == 201 || status == 204
        }
    }

    // MARK: Lists

    /// What the server tells of a folder's contents and the folder itself, or of one file.
    ///
    /// - Parameters:
    ///   - url: of a folder outside of the store's own.
    ///   - listBytesMax: where the folder cannot hold many files.
    func properties(
        of name: String, depth: Int, _ properties: [String] = ["resourcetype", "getcontentlength", "getlastmodified"],
        at url: String? = nil, listBytesMax: Int = WebDAVClient.listBytesMax
    ) async throws(StoreFailure) -> (list: MultiStatus, date: String?) {
        let wanted = properties.map { "<D:\($0)/>" }.joined()
        let body =
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop>\(wanted)</D:prop></D:propfind>"
        let answer = try await send(
            Request(
                method: "PROPFIND", name: name,
                // lighttpd takes no other type, and none with a parameter.
                headers: [("depth", String(depth)), ("content-type", "application/xml")],
                body: .bytes(Array(body.utf8)), answerBytesMax: depth == 0 ? Self.errorBytesMax : listBytesMax,
                url: url))
        do { return (try MultiStatus(answer.body), answer.header("date")) } catch {
            throw StoreFailure(error == .missing ? .missing : .permanent, error.words)
        }
    }

    /// Nil if the server says that it is not there.
    ///
    /// - Parameter url: of a folder outside of the store's own.
    func entry(_ name: String, at url: String? = nil) async throws(StoreFailure) -> MultiStatus.Entry? {
        do { return try await foundEntry(name, at: url) } catch {
            guard error.kind == .missing else { throw error }
            return nil
        }
    }

    /// - Throws: `.missing` if the server says that it is not there.
    func foundEntry(_ name: String, at url: String? = nil) async throws(StoreFailure) -> MultiStatus.Entry {
        // Some servers tell of a folder's contents, whatever depth is asked for.
        let last = name.split(separator: "/").last.map(String.init)
        let entries = try await properties(of: name, depth: 0, at: url).list.entries
        return entries.first { $0.name == last } ?? entries[0]
    }
}
