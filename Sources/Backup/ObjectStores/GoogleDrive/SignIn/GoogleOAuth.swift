import Foundation
package import Primitives

/// Google's OAuth 2.0 for programs on a person's own machine (RFC 6749, 7636, 8252, 8628).
package struct GoogleOAuth: Sendable {
    private static let answerBytesMax = 64 << 10
    /// Said while a person has not decided at another device.
    private static let deviceWords: Set<String> = [
        "authorization_pending", "slow_down", "expired_token", "access_denied", "rate_limit_exceeded",
    ]

    package let endpoints: GoogleEndpoints
    private let attempts: Attempts

    package init(_ endpoints: GoogleEndpoints, _ attempts: Attempts) {
        self.endpoints = endpoints
        self.attempts = attempts
    }

    // MARK: Requests

    /// A token for the next hour.
    package func refresh(_ grant: GoogleGrant) async throws(StoreFailure) -> GoogleTokenAnswer {
        try await tokens(
            grant.client,
            [
                ("grant_type", "refresh_token"), ("refresh_token", grant.refreshToken.text),
            ])
    }

    /// What a browser brought back, for tokens.
    package func exchange(
        _ code: String, of signIn: GoogleSignIn
    ) async throws(StoreFailure) -> GoogleTokenAnswer {
        try await tokens(
            signIn.client,
            [
                ("grant_type", "authorization_code"), ("code", code), ("code_verifier", signIn.verifier.text),
                ("redirect_uri", signIn.redirect),
            ])
    }

    private func tokens(
        _ client: GoogleClient, _ form: [(String, String)]
    ) async throws(StoreFailure) -> GoogleTokenAnswer {
        let answer = try await post(
            endpoints.token, form + [("client_id", client.id), ("client_secret", client.secret.text)])
        return try GoogleTokenAnswer(answer)
    }

    /// Begins a sign-in that is finished at another device.
    package func deviceCode(_ client: GoogleClient, scope: String) async throws(StoreFailure) -> GoogleDeviceCode {
        let answer = try await post(endpoints.deviceCode, [("client_id", client.id), ("scope", scope)])
        return try Self.read(answer)
    }

    package enum DeviceAnswer: Sendable {
        case pending
        /// Asked too often: wait longer from now on.
        case slower
        case expired
        case refused
        case tokens(GoogleTokenAnswer)
    }

    package func ask(
        for code: GoogleDeviceCode, _ client: GoogleClient
    ) async throws(StoreFailure) -> DeviceAnswer {
        let answer = try await post(
            endpoints.token,
            [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code.deviceCode),
                ("client_id", client.id), ("client_secret", client.secret.text),
            ], accepting: Self.deviceWords)
        switch Self.errorWord(answer) {
        case "authorization_pending": return .pending
        case "slow_down", "rate_limit_exceeded": return .slower
        case "expired_token": return .expired
        case "access_denied": return .refused
        default: return .tokens(try GoogleTokenAnswer(answer))
        }
    }

    /// Takes back what was allowed. What was taken back before is no error.
    package func revoke(_ token: SecretBytes) async throws(StoreFailure) {
        _ = try await post(endpoints.revocation, [("token", token.text)], accepting: ["invalid_token"])
    }

    // MARK: One form

    /// - Parameter words: errors that the caller knows what to do with.
    private func post(
        _ url: String, _ form: [(String, String)], accepting words: Set<String> = []
    ) async throws(StoreFailure) -> StoreAnswer {
        let body = Self.form(form)
        return try await attempts.answer { () throws(StoreFailure) in
            Attempts.Attempt(
                StoreRequest(
                    method: "POST", url: url,
                    headers: [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")],
                    body: .bytes(Array(body.utf8)), answerBytesMax: Self.answerBytesMax)
            ) { answer in
                if answer.status == 200 { return .done }
                if let word = Self.errorWord(answer), words.contains(word) { return .done }
                return .failed(Self.failure(answer))
            }
        }
    }

    static func read<Value: Decodable>(_ answer: StoreAnswer) throws(StoreFailure) -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do { return try decoder.decode(Value.self, from: Data(answer.body)) } catch {
            throw StoreFailure(.permanent, "its answer is not of the form that Google's have")
        }
    }

    static func form(_ items: [(String, String)]) -> String {
        items.map { "\($0)=\(PercentEncoding.encoded($1))" }.joined(separator: "&")
    }

    /// The table of RFC 6749's and Google's error words.
    static func failure(_ answer: StoreAnswer) -> StoreFailure {
        let word = errorWord(answer)
        let detail = "status \(answer.status)" + (word.map { ", \($0)" } ?? "")
        func failure(_ kind: StoreFailure.Kind, _ words: String) -> StoreFailure {
            StoreFailure(kind, "\(words) (\(detail))", retryAfter: answer.retryAfterSeconds)
        }
        switch word {
        case "invalid_grant":
            return failure(.credentials, "Google does not know the sign-in any more: it was taken back, or is too old")
        case "invalid_client", "deleted_client", "unauthorized_client", "disabled_client":
            return failure(.credentials, "Google does not accept the OAuth client: its ID, its secret or its type")
        case "invalid_scope", "restricted_client":
            return failure(.credentials, "the OAuth client may not ask for access to Drive in this way")
        case "org_internal", "admin_policy_enforced":
            return failure(.credentials, "the administrator of this Google account does not allow it")
        case "rate_limit_exceeded", "temporarily_unavailable", "server_error", "internal_failure":
            return failure(.transient, "Google's sign-in is busy")
        default: break
        }
        switch answer.status {
        case 408, 429, 500...599: return failure(.transient, "Google's sign-in is busy")
        default: return failure(.permanent, "Google's sign-in refuses")
        }
    }

    private static func errorWord(_ answer: StoreAnswer) -> String? {
        struct Body: Decodable {
            var error: String
        }
        guard answer.status != 200 else { return nil }
        let word = (try? JSONDecoder().decode(Body.self, from: Data(answer.body)))?.error
        return word.flatMap { DriveErrors.isWord($0) ? $0 : nil }
    }
}

/// What the token endpoint gives (RFC 6749, section 5.1).
package struct GoogleTokenAnswer: Sendable {
    private static let usualSeconds = 3_600.0

    package let accessToken: SecretBytes
    package let lifetimeSeconds: UInt64
    /// Only with a first sign-in, or where Google changes it.
    package let refreshToken: SecretBytes?
    /// What the person allowed, which may be less than what was asked for.
    package let scopes: Set<String>

    private struct Body: Decodable {
        var accessToken: String
        var expiresIn: Double?
        var refreshToken: String?
        var scope: String?
        var tokenType: String?
    }

    init(_ answer: StoreAnswer) throws(StoreFailure) {
        let body: Body = try GoogleOAuth.read(answer)
        guard Self.isToken(body.accessToken), body.refreshToken.map(Self.isToken) != false,
            body.tokenType.map({ $0.lowercased() == "bearer" }) != false
        else { throw StoreFailure(.permanent, "its answer is not of the form that Google's have") }
        accessToken = SecretBytes(copying: Array(body.accessToken.utf8))
        lifetimeSeconds = UInt64(min(max(body.expiresIn ?? Self.usualSeconds, 0), 86_400))
        refreshToken = body.refreshToken.map { SecretBytes(copying: Array($0.utf8)) }
        scopes = Set((body.scope ?? "").split(separator: " ").map(String.init))
    }

    /// It goes into a header: no line's end, nor anything else that is no token.
    private static func isToken(_ text: String) -> Bool {
        (1...4_096).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}

/// What a person types at another device (RFC 8628, section 3.2; Google writes `verification_url`).
package struct GoogleDeviceCode: Decodable, Sendable {
    let deviceCode: String
    package let userCode: String
    package let verificationURL: String
    package let lifetimeSeconds: Double
    package let intervalSeconds: Double

    private enum CodingKeys: String, CodingKey {
        case deviceCode, userCode, verificationUrl, verificationUri, expiresIn, interval
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        deviceCode = try container.decode(String.self, forKey: .deviceCode)
        userCode = try container.decode(String.self, forKey: .userCode)
        verificationURL =
            try container.decodeIfPresent(String.self, forKey: .verificationUrl)
            ?? container.decode(String.self, forKey: .verificationUri)
        lifetimeSeconds = min(max(try container.decode(Double.self, forKey: .expiresIn), 0), 3_600)
        intervalSeconds = min(max(try container.decodeIfPresent(Double.self, forKey: .interval) ?? 5, 1), 60)
    }
}

extension SecretBytes {
    /// To be sent, and held no longer.
    var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }
}
