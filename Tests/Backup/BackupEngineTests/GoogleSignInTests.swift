import BackupEngine
import BackupFormat
import Foundation
import ObjectStores
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite struct `A sign-in at Google` {
    typealias Script = ScriptedDrive

    static func signIn(seed: UInt64 = 1) throws -> GoogleSignIn {
        var generator = SeededGenerator(seed: seed)
        return GoogleSignIn(
            try Script.grant().client, scope: "https://www.googleapis.com/auth/drive.file", port: 4_711,
            endpoints: .google,
            using: &generator)
    }

    static func query(_ url: String) -> [String: String] {
        let items = url.split(separator: "?", maxSplits: 1).last?.split(separator: "&") ?? []
        return Dictionary(
            uniqueKeysWithValues: items.map { item in
                let parts = item.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), PercentEncoding.decoded(parts[1]) ?? "")
            })
    }

    @Test func `proves who began it as RFC 7636 does`() {
        let verifier = Script.secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        #expect(GoogleSignIn.challenge(of: verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test func `sends the browser to Google, and keeps the proof`() async throws {
        let signIn = try Self.signIn()
        #expect(signIn.address.hasPrefix("https://accounts.google.com/o/oauth2/v2/auth?"))
        let query = Self.query(signIn.address)
        #expect(query["redirect_uri"] == "http://127.0.0.1:4711")
        #expect(query["access_type"] == "offline" && query["prompt"] == "consent" && query["response_type"] == "code")
        #expect(query["code_challenge_method"] == "S256" && query["code_challenge"]?.utf8.count == 43)
        #expect(query["state"]?.utf8.count == 43)
        #expect(query["client_secret"] == nil)
        #expect(try Self.query(Self.signIn(seed: 2).address)["state"] != query["state"])
        let transport = ScriptedTransport([Script.token("t", #", "refresh_token": "r", "scope": "a b""#)])
        let oauth = GoogleOAuth(.google, Attempts(transport: transport, backoff: Backoff()))
        let tokens = try await oauth.exchange("4/code", of: signIn)
        #expect(tokens.scopes == ["a", "b"])
        #expect(tokens.refreshToken?.isEqual(to: Script.secret("r")) == true)
        guard case .bytes(let body)? = transport.requests.first?.body else {
            Issue.record("no body")
            return
        }
        let form = Self.query("?" + String(decoding: body, as: UTF8.self))
        #expect(form["code"] == "4/code" && form["redirect_uri"] == "http://127.0.0.1:4711")
        #expect(GoogleSignIn.challenge(of: Script.secret(form["code_verifier"] ?? "")) == query["code_challenge"])
        #expect(transport.requests.first?.url == "https://oauth2.googleapis.com/token", "no secret is in an address")
    }

    @Test func `takes the answer that it asked for, and no other`() throws {
        let signIn = try Self.signIn()
        let state = try #require(Self.query(signIn.address)["state"])
        #expect(signIn.answer(in: "/?state=\(state)&code=4%2Fabc&scope=x+y") == .code("4/abc"))
        #expect(signIn.answer(in: "/?error=access_denied&state=\(state)") == .refused("access_denied"))
        #expect(signIn.answer(in: "/?error=%3Cb%3E&state=\(state)") == .refused("error"), "nothing strange is shown")
        for target in [
            "/", "/favicon.ico", "/?code=abc", "/?state=&code=abc", "/?state=\(state)x&code=abc", "/?state=\(state)",
            "/?state=\(state)&code=", "/?error=access_denied", "/?state=\(state)&state=\(state)&code=a",
            "/x?state=\(state)&code=a",
            "http://127.0.0.1/?state=\(state)&code=a", "/?state=\(state)&code=%zz", "?state=\(state)&code=a",
        ] { #expect(signIn.answer(in: target) == .foreign) }
    }

    @Test func `is kept on one line, and read again`() throws {
        let grant = try Script.grant()
        let kept = grant.kept()
        let again = try #require(GoogleGrant(clientID: grant.client.id, kept: kept))
        #expect(again.refreshToken.isEqual(to: grant.refreshToken))
        #expect(again.client.secret.isEqual(to: grant.client.secret))
        #expect(!"\(grant)".contains("refresh-token") && !"\(grant)".contains("client-secret"))
        for text in ["", "a", "a ", " b", "a b c", "a\nx b"] {
            #expect(GoogleGrant(clientID: "id", kept: Script.secret(text)) == nil)
        }
        for id in ["", "a b", "a&b", "ä", String(repeating: "a", count: 257)] {
            #expect(GoogleClient(id: id, secret: Script.secret("x")) == nil)
        }
    }

    @Test(arguments: [
        ("invalid_grant", 400, "credentials"), ("invalid_client", 401, "credentials"),
        ("unauthorized_client", 401, "credentials"), ("deleted_client", 401, "credentials"),
        ("org_internal", 403, "credentials"), ("invalid_scope", 400, "credentials"), ("invalid_request", 400, "failed"),
        ("temporarily_unavailable", 503, "failed"), ("rate_limit_exceeded", 403, "failed"), ("", 500, "failed"),
    ])
    func `that is refused says why, and is not asked for again in vain`(
        _ word: String, _ status: Int, _ kind: String
    ) async throws {
        let refusal = Script.json(status, #"{"error": "\#(word)", "error_description": "a secret"}"#)
        let drive = try Script([], tokens: (0..<9).map { _ in refusal }, knowsFolder: false)
        await #expect { _ = try await drive.store.read(.header) } throws: {
            "\($0)".hasPrefix(kind) && (word.isEmpty || "\($0)".contains(word)) && !"\($0)".contains("a secret")
        }
        #expect(drive.transport.requests.isEmpty)
    }
}

@Suite struct `A permission at Google` {
    @Test(arguments: [
        ("111-desktop.apps.googleusercontent.com", "111"), ("111-tv.apps.googleusercontent.com", "111"),
        ("112-desktop.apps.googleusercontent.com", "112"), ("111", "111"), ("a1-b", "a1-b"), ("-b", "-b"),
    ])
    func `belongs to the project of a client`(_ id: String, _ project: String) {
        #expect(GoogleClient.project(ofClient: id) == project)
    }
}

@Suite struct `An access token` {
    typealias Script = ScriptedDrive

    static func tokens(
        _ answers: [Script.Answer], at time: Mutex<UInt64>.Shared,
        keep: @escaping @Sendable (GoogleGrant) -> Bool = { _ in true }
    ) throws -> (GoogleTokens, ScriptedTransport) {
        let transport = ScriptedTransport(answers)
        let attempts = Attempts(
            transport: transport, backoff: Backoff(triesMax: 3, clock: StandingClock().waiting, dice: { $0 }))
        return (try Script.tokens(attempts, now: { time.value }, keep: keep), transport)
    }

    @Test func `is renewed a minute before it ends`() async throws {
        let time = Mutex<UInt64>.Shared(1_000)
        let (tokens, transport) = try Self.tokens([Script.token("a", seconds: 3_600), Script.token("b")], at: time)
        for (seconds, token) in [(1_000, "a"), (4_539, "a"), (4_540, "b")] as [(UInt64, String)] {
            time.value = seconds
            #expect(try await tokens.current().isEqual(to: Script.secret(token)))
        }
        #expect(transport.requests.count == 2)
    }

    @Test func `is asked for once, however many wait for it`() async throws {
        let (tokens, transport) = try Self.tokens([Script.token("a"), Script.token("b")], at: .init(1_000))
        let all = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 {
                group.addTask { (try? await tokens.current())?.isEqual(to: Script.secret("a")) == true }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(all == Array(repeating: true, count: 20))
        #expect(transport.requests.count == 1)
        // One that was refused is replaced once, whoever says so.
        let refused = try await tokens.current()
        for _ in 0..<3 { await tokens.replace(refused) }
        for _ in 0..<3 { #expect(try await tokens.current().isEqual(to: Script.secret("b"))) }
        #expect(transport.requests.count == 2)
    }

    @Test func `brings a new refresh token now and then, which is kept`() async throws {
        let kept = Mutex<[String]>([])
        let time = Mutex<UInt64>.Shared(1_000)
        let (tokens, transport) = try Self.tokens(
            [
                Script.token("a", #", "refresh_token": "refresh-token""#, seconds: 100),
                Script.token("b", #", "refresh_token": "second""#, seconds: 100), Script.token("c"),
            ], at: time
        ) { grant in
            kept.withLock { $0.append(grant.refreshToken.withBytes { String(decoding: $0, as: UTF8.self) }) }
            return true
        }
        for seconds in [1_000, 2_000, 3_000] as [UInt64] {
            time.value = seconds
            _ = try await tokens.current()
        }
        #expect(kept.withLock { $0 } == ["second"])
        let sent = transport.requests.map { request in
            if case .bytes(let bytes) = request.body { String(decoding: bytes, as: UTF8.self) } else { "" }
        }
        #expect(sent.map { $0.contains("refresh_token=second&") } == [false, false, true])
    }

    @Test func `comes with a refresh token that could not be kept, and is tried again`() async throws {
        let tries = Mutex(0)
        let time = Mutex<UInt64>.Shared(1_000)
        let answers = [Script.token("a", #", "refresh_token": "second""#, seconds: 100)]
        let (tokens, _) = try Self.tokens(answers + (0..<3).map { Script.token("b\($0)", seconds: 100) }, at: time) {
            _ in
            tries.withLock {
                $0 += 1
                return $0 == 3
            }
        }
        for seconds in [1_000, 2_000, 3_000, 4_000] as [UInt64] {
            time.value = seconds
            _ = try await tokens.current()
        }
        #expect(tries.withLock { $0 } == 3)
    }

    @Test func `is had with what another program has kept meanwhile`() async throws {
        let refusal = Script.json(400, #"{"error": "invalid_grant"}"#)
        let newer = try Script.grant().renewed(Script.secret("newer"))
        for (kept, isHad) in [(newer, true), (try Script.grant(), false), (nil, false)] as [(GoogleGrant?, Bool)] {
            let attempts = Attempts(
                transport: ScriptedTransport([refusal, Script.token("a")]),
                backoff: Backoff(triesMax: 3, clock: StandingClock().waiting, dice: { $0 }))
            let tokens = GoogleTokens(
                try Script.grant(), GoogleOAuth(.google, attempts), now: { 1 }, keep: { _ in true }, kept: { kept })
            #expect((try? await tokens.current())?.isEqual(to: Script.secret("a")) ?? false == isHad)
        }
    }

    @Test func `that is no word is refused`() async throws {
        for answer in [
            Script.token("a\\r\\nx: y"), Script.token(""), Script.json(200, "{}"), Script.json(200, "<html>"),
            Script.json(200, #"{"access_token": "a", "token_type": "mac"}"#),
        ] {
            let (tokens, _) = try Self.tokens([answer], at: .init(1))
            await #expect(throws: StoreFailure.self) { _ = try await tokens.current() }
        }
    }
}

extension Mutex<UInt64> {
    /// A time that a test sets.
    final class Shared: Sendable {
        private let mutex: Mutex<UInt64>

        init(_ value: UInt64) { mutex = Mutex(value) }

        var value: UInt64 {
            get { mutex.withLock { $0 } }
            set { mutex.withLock { $0 = newValue } }
        }
    }
}

@Suite struct `A sign-in at another device` {
    typealias Script = ScriptedDrive
    static let begun = Script.json(
        200,
        #"{"device_code": "d", "user_code": "ABCD-EFGH", "verification_url": "https://www.google.com/device", "expires_in": 1800, "interval": 5}"#
    )

    static func word(_ word: String, _ status: Int) -> Script.Answer { Script.json(status, #"{"error": "\#(word)"}"#) }

    static func wait(_ answers: [Script.Answer]) async throws -> (tokens: GoogleTokenAnswer, seconds: UInt64) {
        let clock = StandingClock()
        let oauth = GoogleOAuth(
            .google,
            Attempts(
                transport: ScriptedTransport([begun] + answers),
                backoff: Backoff(triesMax: 3, clock: clock.waiting, dice: { _ in 0 })))
        let client = try Script.grant().client
        let code = try await oauth.deviceCode(client, scope: "s")
        #expect(code.userCode == "ABCD-EFGH" && code.verificationURL == "https://www.google.com/device")
        let tokens = try await GoogleDeviceSignIn.wait(for: code, client, oauth, clock: clock.waiting)
        return (tokens, clock.now / 1_000_000_000)
    }

    @Test func `waits for the person, and longer when it is told to`() async throws {
        let pending = Self.word("authorization_pending", 428)
        let done = Script.token("a", #", "refresh_token": "r""#)
        #expect(try await Self.wait([done]).seconds == 5)
        #expect(try await Self.wait([pending, pending, done]).seconds == 15)
        #expect(try await Self.wait([Self.word("slow_down", 403), pending, done]).seconds == 5 + 10 + 10)
        #expect(try await Self.wait([Self.word("rate_limit_exceeded", 403), done]).seconds == 15)
        #expect(try await Self.wait([Script.json(503, ""), .failure(.broken("x")), done]).seconds == 5)
    }

    @Test func `ends when the person says no, or nothing, or Google does not know it`() async throws {
        let pending = Self.word("authorization_pending", 428)
        for (answers, expected) in [
            ([pending, Self.word("access_denied", 403)], GoogleDeviceSignIn.Failed.refused),
            ([Self.word("expired_token", 400)], .expired), ((0..<400).map { _ in pending }, .expired),
        ] {
            await #expect(throws: expected) { _ = try await Self.wait(answers) }
        }
        await #expect {
            _ = try await Self.wait([Self.word("invalid_grant", 400)])
        } throws: {
            if case GoogleDeviceSignIn.Failed.failure(let failure) = $0 { failure.kind == .credentials } else { false }
        }
    }
}
