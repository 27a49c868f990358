import Primitives

/// Sends requests to CloudKit, in one person's private database of one container, and bytes to and from the other host that keeps
/// assets, which must see no token.
package final class CloudKitClient: Sendable {
    private static let answerBytesMax = 8 << 20

    let address: CloudKitAddress
    let endpoint: CloudKitEndpoint
    /// To the host of assets.
    let assets: Attempts
    private let line: CloudKitLine
    private let attempts: Attempts

    /// - Parameter assets: the way to the host of assets.
    package init(
        _ address: CloudKitAddress, _ line: CloudKitLine, assets: any StoreTransport,
        endpoint: CloudKitEndpoint = .apple, backoff: Backoff = Backoff()
    ) {
        self.address = address
        self.endpoint = endpoint
        self.line = line
        attempts = Attempts(transport: line, backoff: backoff)
        self.assets = Attempts(transport: assets, backoff: backoff)
    }

    var zone: CloudKitZoneID { CloudKitZoneID(zoneName: address.zone) }

    /// One operation: `records/modify`. What it asks for may be done twice where an answer was lost.
    ///
    /// - Parameter recordName: of the record that it is about: of no other it is believed that it is not there.
    func call<Answer: Decodable>(
        _ operation: String, _ body: some Encodable, of recordName: String? = nil
    ) async throws(StoreFailure) -> Answer {
        try await send(method: "POST", operation, body: .bytes(try CloudKitJSON.text(body)), of: recordName)
    }

    /// Who is signed in: a name that says nothing of the person.
    package func user() async throws(StoreFailure) -> String {
        let user: CloudKitUser = try await send(method: "GET", "users/current", body: .none)
        return user.userRecordName
    }

    private func send<Answer: Decodable>(
        method: String, _ operation: String, body: StoreBody, of recordName: String? = nil
    ) async throws(StoreFailure) -> Answer {
        let request = request(method: method, operation, body: body)
        let line = line
        let answer = try await attempts.answer { () throws(StoreFailure) in
            Attempts.Attempt(request) { answer in
                CloudKitErrors.failure(answer, of: recordName, isAnswerLost: line.isAnswerLost)
                    .map { .failed($0) } ?? .done
            }
        }
        return try CloudKitJSON.read(answer)
    }

    private func request(method: String, _ operation: String, body: StoreBody) -> StoreRequest {
        let place = "\(address.container)/\(address.environment.rawValue)/private"
        return StoreRequest(
            method: method, url: "\(endpoint.api)/database/1/\(place)/\(operation)",
            headers: method == "GET" ? [] : [("content-type", "application/json")], body: body,
            answerBytesMax: Self.answerBytesMax)
    }

    /// Where a person signs in at Apple: CloudKit says so to whoever has no sign-in.
    package func signInPage() async throws(StoreFailure) -> String {
        let request = request(method: "GET", "users/current", body: .none)
        let answer = try await attempts.answer { () throws(StoreFailure) in
            Attempts.Attempt(request) { answer in
                if CloudKitErrors.Answer(answer)?.redirectURL != nil { return .done }
                return .failed(
                    CloudKitErrors.failure(answer)
                        ?? StoreFailure(.permanent, "CloudKit does not say where to sign in"))
            }
        }
        guard let page = CloudKitErrors.Answer(answer)?.redirectURL, endpoint.isOwn(page) else {
            throw StoreFailure(.permanent, "the place to sign in at is not Apple's")
        }
        return page
    }
}
