import BackupEngine
import ObjectStores
import Synchronization
import Testing

@Suite struct `A URL of a store` {
    @Test(arguments: [
        ("https://H.example:443/a/b/?x=1?", "https://h.example", ["a", "b", ""], "x=1?"),
        ("HTTPS://h:8443", "https://h:8443", [], nil),
        ("http://127.0.0.1:80/a//b", "http://127.0.0.1", ["a", "", "b"], nil),
        ("http://LOCALHOST:8080/", "http://localhost:8080", [""], nil),
        ("https://[2001:DB8::1]:444/me@home", "https://[2001:db8::1]:444", ["me@home"], nil),
    ])
    func `is taken apart, its path as it is written`(
        _ text: String, _ origin: String, _ parts: [String], _ query: String?
    ) throws {
        let url = try StoreURL(text)
        #expect(url.origin == origin)
        #expect(url.parts == parts)
        #expect(url.query == query)
    }

    @Test(arguments: [
        ("", StoreURL.Malformed.notAnAddress), ("h/x", .notAnAddress), ("ftp://h/x", .notAnAddress),
        ("https://", .notAnAddress), ("https:///x", .notAnAddress), ("https://h/x#y", .notAnAddress),
        ("https://h:", .notAnAddress), ("https://h:+1/x", .notAnAddress), ("https://h:99999/x", .notAnAddress),
        ("https://h:1:2/x", .notAnAddress), ("https://[::1/x", .notAnAddress), ("https://[]/x", .notAnAddress),
        ("https://h\\@evil/x", .hasCredentials), ("https://h\\.evil/x", .notAnAddress),
        ("https://ünï/x", .notAnAddress), ("https://h e/x", .notAnAddress), ("https://h%2f/x", .notAnAddress),
        ("https://me:secret@h/x", .hasCredentials), ("http://h/x", .notEncrypted),
        ("http://[::2]/x", .notEncrypted), ("http://localhost.evil.org/x", .notEncrypted),
        ("http://127.0.0.1.evil.org/x", .notEncrypted), ("http://127.1/x", .notEncrypted),
    ])
    func `is refused where it could mean something else`(_ text: String, _ error: StoreURL.Malformed) {
        #expect(throws: error) { _ = try StoreURL(text) }
    }

    @Test func `has each byte encoded once`() {
        #expect(PercentEncoding.encoded("a b/%é~") == "a%20b%2F%25%C3%A9~")
        #expect(PercentEncoding.decoded("a%20b%2f%25%C3%A9~+") == "a b/%é~+")
        #expect(PercentEncoding.decoded("a+b", plusIsSpace: true) == "a b")
        for text in ["%", "%2", "%+f", "%zz", "%ff", "a%"] { #expect(PercentEncoding.decoded(text) == nil) }
    }
}

/// What is tried again, and how: for every store that is reached by HTTP.
@Suite struct `Attempts at a server` {
    static func attempts(
        _ answers: [Result<StoreAnswer, StoreTransportError>], clock: StandingClock = StandingClock()
    ) -> (Attempts, ScriptedTransport) {
        let transport = ScriptedTransport(answers)
        let backoff = Backoff(triesMax: 4, triesMaxUnanswered: 2, clock: clock.waiting, dice: { $0 })
        return (Attempts(transport: transport, backoff: backoff), transport)
    }

    /// What was put right, in order.
    final class Cures: Sendable {
        private let names = Mutex<[String]>([])
        var applied: [String] { names.withLock { $0 } }
        func apply(_ name: String) { names.withLock { $0.append(name) } }
    }

    /// 200 is well, 401 curable by a new token, 403 by a new clock; 500 may go well.
    static func send(_ attempts: Attempts, cures: Cures = Cures()) async throws(StoreFailure) -> StoreAnswer {
        try await attempts.answer { () throws(StoreFailure) in
            let request = StoreRequest(
                method: "GET", url: cures.applied.joined(separator: "+"), answerBytesMax: 10)
            return Attempts.Attempt(request) { answer in
                func cure(_ name: String) -> Attempts.Cure {
                    Attempts.Cure(name) { () throws(StoreFailure) in cures.apply(name) }
                }
                return switch answer.status {
                case 200: .done
                case 401: .curable(StoreFailure(.credentials, "401"), cure("token"))
                case 403: .curable(StoreFailure(.transient, "403"), cure("clock"))
                default: .failed(StoreFailure(.transient, "\(answer.status)", retryAfter: answer.retryAfterSeconds))
                }
            }
        }
    }

    static func status(_ status: Int) -> Result<StoreAnswer, StoreTransportError> {
        .success(StoreAnswer(status: status))
    }

    @Test func `put right what can be, each once, at once, and make the request anew`() async throws {
        let clock = StandingClock()
        let (attempts, transport) = Self.attempts(
            [Self.status(401), Self.status(403), Self.status(200)], clock: clock)
        let cures = Cures()
        _ = try await Self.send(attempts, cures: cures)
        #expect(transport.requests.map(\.url) == ["", "token", "token+clock"])
        #expect(clock.now == 0)
        let (again, given) = Self.attempts([Self.status(401), Self.status(401), Self.status(200)])
        await #expect(throws: StoreFailure(.credentials, "401")) { _ = try await Self.send(again) }
        #expect(given.requests.count == 2)
        let (busy, asked) = Self.attempts([403, 403, 500, 403, 200].map(Self.status))
        let once = Cures()
        _ = try await Self.send(busy, cures: once)
        #expect(once.applied == ["clock"])
        #expect(asked.requests.count == 5)
    }

    @Test func `end where a cure fails`() async throws {
        let (attempts, transport) = Self.attempts([Self.status(401), Self.status(200)])
        await #expect(throws: StoreFailure(.credentials, "no")) {
            _ = try await attempts.answer { () throws(StoreFailure) in
                Attempts.Attempt(StoreRequest(method: "GET", url: "", answerBytesMax: 1)) { _ in
                    .curable(
                        StoreFailure(.transient, "x"),
                        Attempts.Cure("c") { () throws(StoreFailure) in throw StoreFailure(.credentials, "no") })
                }
            }
        }
        #expect(transport.requests.count == 1)
    }

    @Test func `wait together for a server that has too much to do`() async throws {
        for status in [429, 503] {
            let clock = StandingClock()
            let busy = Result<StoreAnswer, StoreTransportError>.success(
                StoreAnswer(status: status, headers: [("Retry-After", "60")]))
            let (attempts, transport) = Self.attempts([busy, busy, busy, busy, Self.status(200)], clock: clock)
            await #expect(throws: StoreFailure.self) { _ = try await Self.send(attempts) }
            #expect(clock.now == 180_000_000_000)
            // Another request, which has not failed yet.
            _ = try await Self.send(attempts)
            #expect(clock.now == 240_000_000_000)
            #expect(transport.requests.count == 5)
        }
        // What failed for other reasons holds nobody up, and who tidies up does not wait.
        let clock = StandingClock()
        let (attempts, _) = Self.attempts(
            [500, 500, 500, 500, 200, 503, 503, 503, 503, 200].map(Self.status), clock: clock)
        await #expect(throws: StoreFailure.self) { _ = try await Self.send(attempts) }
        let failed = clock.now
        _ = try await Self.send(attempts)
        #expect(clock.now == failed)
        await #expect(throws: StoreFailure.self) { _ = try await Self.send(attempts) }
        let refused = clock.now
        _ = try await attempts.answer(isUrgent: true) { () throws(StoreFailure) in
            Attempts.Attempt(StoreRequest(method: "GET", url: "", answerBytesMax: 1)) { _ in .done }
        }
        #expect(clock.now == refused)
    }

    @Test func `are asked to wait in seconds, or until a time of the server's`() {
        func seconds(_ retryAfter: String, date: String? = nil) -> Double? {
            let date = date.map { [(name: "Date", value: $0)] } ?? []
            return StoreAnswer(status: 503, headers: [("Retry-After", retryAfter)] + date).retryAfterSeconds
        }
        #expect(seconds("17") == 17)
        #expect(seconds("-1") == nil)
        #expect(seconds("soon") == nil)
        let (now, later) = ("Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:01:30 GMT")
        #expect(seconds(later, date: now) == 90)
        #expect(seconds(now, date: later) == 0)
        #expect(seconds(later) == nil)
    }

    @Test func `wear off where that is said, and may then be made once more`() async throws {
        let (attempts, transport) = Self.attempts([401, 503, 401, 503, 401, 200].map(Self.status))
        let cures = Cures()
        _ = try await attempts.answer { () throws(StoreFailure) in
            Attempts.Attempt(StoreRequest(method: "GET", url: "", answerBytesMax: 1)) { answer in
                switch answer.status {
                case 200: .done
                case 401:
                    .curable(
                        StoreFailure(.credentials, "401"),
                        Attempts.Cure("nonce", wearsOff: true) { () throws(StoreFailure) in cures.apply("nonce") })
                default: .failed(StoreFailure(.transient, "503"))
                }
            }
        }
        #expect(cures.applied == ["nonce", "nonce", "nonce"])
        #expect(transport.requests.count == 6)
    }

    @Test func `end when their task is cancelled while they wait`() async throws {
        let transport = ScriptedTransport([Self.status(500), Self.status(200)])
        // A wait ends at once when the task is cancelled, as the system's does.
        let clock = WaitingClock(now: { 0 }, sleepUntil: { _ in withUnsafeCurrentTask { $0?.cancel() } })
        let attempts = Attempts(transport: transport, backoff: Backoff(clock: clock, dice: { $0 }))
        let task = Task { try await Self.send(attempts) }
        await #expect(throws: StoreFailure(.transient, "500")) { _ = try await task.value }
        #expect(transport.requests.count == 1)
    }
}
