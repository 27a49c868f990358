import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import Synchronization
import TestSupport
import Testing

/// A line that fails as a test says, and shows how many requests are on it at a time.
private final class WatchedLine: StoreTransport {
    private struct State {
        var count = 0
        var atOnce = 0
        var mostAtOnce = 0
        var tokens: [String] = []
    }

    private let transport: any StoreTransport
    private let losing: Int?
    private let state = Mutex(State())

    /// - Parameter losing: the number of the request whose answer never comes, from 0 on.
    init(_ transport: any StoreTransport, losing: Int? = nil) {
        self.transport = transport
        self.losing = losing
    }

    var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }
    var tokens: [String] { state.withLock { $0.tokens } }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        guard request.url.contains("ckAPIToken") else { return try await transport.send(request) }
        let number = state.withLock { state in
            state.atOnce += 1
            state.mostAtOnce = max(state.mostAtOnce, state.atOnce)
            state.count += 1
            state.tokens += request.url.split(separator: "ckWebAuthToken=").dropFirst().map(String.init)
            return state.count - 1
        }
        defer { state.withLock { $0.atOnce -= 1 } }
        guard number == losing else { return try await transport.send(request) }
        var unheard = request
        unheard.heard = nil
        _ = try await transport.send(unheard)
        throw .broken("the connection broke off")
    }
}

/// Keeps a token in memory, or does not.
private final class FailingTokens: WebTokens, HeldWebToken {
    private struct State {
        var token: SecretBytes
        var count = 0
    }

    private let failing: Range<Int>
    private let state: Mutex<State>

    /// - Parameter failing: which of the tokens are not kept.
    init(_ token: SecretBytes, failing: Range<Int>) {
        self.failing = failing
        state = Mutex(State(token: token))
    }

    var name: String { "failing \(ObjectIdentifier(self))" }
    var token: SecretBytes? { state.withLock { $0.token } }
    func take() async throws(WebTokenFailure) -> any HeldWebToken { self }
    func release() {}
    /// By another program.
    func signIn(_ token: SecretBytes) { state.withLock { $0.token = token } }

    func keep(_ token: SecretBytes) throws(WebTokenFailure) {
        let isKept = state.withLock { state in
            defer { state.count += 1 }
            guard !failing.contains(state.count) else { return false }
            state.token = token
            return true
        }
        guard isKept else { throw WebTokenFailure("no space left") }
    }
}

@Suite struct `A sign-in at iCloud` {
    typealias Script = ScriptedICloud

    private static func isCredentials(_ error: ObjectStoreError?) -> Bool {
        if case .credentials? = error { true } else { false }
    }

    @Test func `is used for one request, and the next is kept before anything else is sent`() async throws {
        let script = try Script([
            Script.json(#"{"records": [{"recordName": "\#(Script.recordName)"}]}"#, token: "se/c+o=nd"),
            Script.recordError("NOT_FOUND"), Script.done,
        ])
        try await script.store.create(Script.name, [1])
        #expect(script.tokens.token?.isEqual(to: Script.secret("se/c+o=nd")) == true)
        _ = await script.failure { _ = try await script.store.read(Script.name) }
        try await script.store.create(Script.name, [1])
        #expect(
            script.api.requests.map { String($0.url.split(separator: "?")[1]) } == [
                "ckAPIToken=api&ckWebAuthToken=first%2B%2F%3D", "ckAPIToken=api&ckWebAuthToken=se%2Fc%2Bo%3Dnd",
                "ckAPIToken=api&ckWebAuthToken=next",
            ], "errors bring the next one, too")
    }

    @Test func `is never used by two requests at a time`() async throws {
        let server = try ICloudServer.shared.get()
        let device = ICloudDevice(server)
        let lines = Mutex<[WatchedLine]>([])
        let watch: (any StoreTransport) -> any StoreTransport = { transport in
            let line = WatchedLine(transport)
            lines.withLock { $0.append(line) }
            return line
        }
        let stores = try ["one", "two"].map {
            try server.store("\(UUID().uuidString)-\($0)", tokens: device, transport: watch)
        }
        for store in stores { try await store.create(.header, [1]) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in UInt8(0)..<20 {
                group.addTask {
                    let store = stores[Int(number) % 2]
                    try await store.create(.index(`Every store`.id(number)), [number])
                    #expect(try await store.read(.index(`Every store`.id(number))) == [number])
                }
            }
            try await group.waitForAll()
        }
        let all = lines.withLock { $0 }
        let tokens = all.flatMap(\.tokens)
        #expect(tokens.count >= 42 && Set(tokens).count == tokens.count)
        #expect(all.map(\.mostAtOnce).max() == 1)
    }

    /// What a device does, so that each of its requests can be the one whose answer is lost.
    private static let content = noise(600_000, seed: 5)
    private static func work(_ store: CloudKitStore) async throws {
        do { try await store.create(.header, [1]) } catch ObjectStoreError.exists {}
        let name = ObjectName.pack(`Every store`.id(3))
        do { try await store.create(name, content) } catch ObjectStoreError.exists {}
        try await store.replace(.header, [2])
        #expect(try await store.list(.packs) == [name])
        #expect(try await store.read(name) == content)
        try await store.delete(.index(`Every store`.id(4)))
        #expect(try await store.size(of: .header) == 1)
    }

    @Test func `is over when an answer is lost, whichever it is, and nothing else is`() async throws {
        let server = try ICloudServer()
        var number = 0
        while true {
            let (device, zone) = (ICloudDevice(server), "zone-\(number)")
            let store = try server.store(zone, tokens: device) { [number] in WatchedLine($0, losing: number) }
            let failure: ObjectStoreError?
            do {
                try await Self.work(store)
                failure = nil
            } catch {
                failure = error as? ObjectStoreError
            }
            guard let failure else { break }
            guard case .credentials(let words) = failure else {
                Issue.record("\(number): \(failure)")
                break
            }
            #expect(words.contains("lost on its way"))
            try await device.signIn()
            try await Self.work(try server.store(zone, tokens: device))
            number += 1
        }
        #expect(number == 10, "each request was lost once")
    }

    @Test func `outlives an answer of which only the beginning comes`() async throws {
        let server = try ICloudServer()
        let device = ICloudDevice(server)
        let store = try server.store("cut", tokens: device)
        try await store.create(.header, [1])
        try await server.control("faults", #"[{"operation": "records.*", "cut": 10, "times": 3}]"#)
        try await store.create(.index(`Every store`.id(1)), [1, 2, 3])
        #expect(try await store.read(.index(`Every store`.id(1))) == [1, 2, 3])
        try await server.control(
            "faults",
            #"[{"operation": "*", "status": 500, "phase": "after", "times": 2}, {"operation": "records.*", "cutRequest": 5}]"#
        )
        try await store.create(.index(`Every store`.id(2)), [4])
    }

    @Test func `is told to be over in words that say what it means`() async throws {
        let required = Script.json(
            #"{"serverErrorCode": "AUTHENTICATION_REQUIRED", "redirectURL": "https://idmsa.apple.com/x"}"#, 421,
            token: nil)
        let over = try Script([required, required])
        guard case .credentials(let words)? = await over.failure({ _ = try await over.store.read(.header) }) else {
            Issue.record("no sign-in")
            return
        }
        #expect(words.contains("two weeks") && !words.contains("lost on its way") && !words.contains("first"))
        #expect(over.asked.count == 1, "it is not tried again")
        let lost = try Script([.failure(.broken("it broke")), required])
        guard case .credentials(let words)? = await lost.failure({ _ = try await lost.store.read(.header) }) else {
            Issue.record("no sign-in")
            return
        }
        #expect(words.contains("lost on its way"))
        let refused = try Script([.failure(.broken("no connection")), Script.recordError("NOT_FOUND")])
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await refused.store.read(Script.name)
        }
    }

    @Test func `that cannot be kept stops everything before it is lost, and goes on when it can`() async throws {
        let server = try ICloudServer()
        let tokens = FailingTokens(try await server.token(), failing: 3..<6)
        let store = try server.store("kept", tokens: tokens)
        var failures: [ObjectStoreError] = []
        for number in UInt8(0)..<8 {
            do throws(ObjectStoreError) {
                try await store.create(number == 0 ? .header : .index(`Every store`.id(number)), [number])
            } catch {
                failures.append(error)
            }
        }
        // The header takes three requests: no zone, the zone, the record.
        #expect(
            failures == [
                .failed("index/\(`Every store`.id(2).hex): no space left"),
                .failed("index/\(`Every store`.id(3).hex): no space left"),
            ])
        #expect(try await store.list(.index).count == 5)
    }

    @Test func `that cannot be kept is known to all of the program, and gives way to a later sign-in`() async throws {
        let server = try ICloudServer()
        let tokens = FailingTokens(try await server.token(), failing: 3..<4)
        let one = try server.store("shared", tokens: tokens)
        let two = try server.store("shared", tokens: tokens)
        try await one.create(.header, [1])
        #expect(try await one.size(of: .header) == 1)
        #expect(try await two.size(of: .header) == 1)
        let later = FailingTokens(try await server.token(), failing: 1..<3)
        let third = try server.store("shared", tokens: later)
        #expect(try await third.size(of: .header) == 1)
        #expect(try await third.size(of: .header) == 1)
        later.signIn(try await server.token())
        #expect(try await third.size(of: .header) == 1)
        #expect(try await server.store("shared", tokens: later).size(of: .header) == 1)
    }

    @Test func `is lost when a program is killed between an answer and its keeping, and nothing else is`() async throws
    {
        let server = try ICloudServer()
        let device = ICloudDevice(server)
        try await server.store("killed", tokens: device).create(.header, [1])
        let token = try #require(device.memory.token)
        try await server.store("killed", tokens: device).create(.index(`Every store`.id(1)), [2])
        // As if the last token had never been written.
        let killed = try server.store("killed", tokens: MemoryWebTokens(token))
        await #expect(throws: ObjectStoreError.self) { try await killed.create(.index(`Every store`.id(2)), [3]) }
        let again = try server.store("killed", tokens: ICloudDevice(server))
        #expect(try await again.list(.index) == [.index(`Every store`.id(1))])
        #expect(try await again.read(.index(`Every store`.id(1))) == [2])
    }

    /// Holds a request until it is let through.
    private final class Gate: StoreTransport {
        private let transport: any StoreTransport
        private let (arrivals, arrived) = AsyncStream<Void>.makeStream()
        private let (openings, opened) = AsyncStream<Void>.makeStream()

        init(_ transport: any StoreTransport) { self.transport = transport }

        func untilAsked() async { for await _ in arrivals { return } }
        func open() { opened.finish() }

        func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
            arrived.yield()
            for await _ in openings {}
            // As lines do.
            guard !Task.isCancelled else { throw .broken("it was stopped") }
            return try await transport.send(request)
        }
    }

    @Test func `is not lost by whoever is told to stop while an answer is under way`() async throws {
        let script = try Script([])
        let gate = Gate(ScriptedTransport([Script.json(#"{"records": []}"#, token: "second")]))
        let store = try script.store(over: gate)
        let work = Task { try? await store.create(Script.name, [1]) }
        await gate.untilAsked()
        work.cancel()
        gate.open()
        _ = await work.value
        #expect(script.tokens.token?.isEqual(to: Script.secret("second")) == true)
    }

    @Test func `is not spent by who was stopped while others were before`() async throws {
        let script = try Script([])
        let answers = ScriptedTransport([Script.json(#"{"records": []}"#, token: "second")])
        let gate = Gate(answers)
        let store = try script.store(over: gate)
        let first = Task { try? await store.create(Script.name, [1]) }
        await gate.untilAsked()
        let second = Task { try? await store.create(Script.name, [1]) }
        for task in [first, second] { task.cancel() }
        gate.open()
        _ = await (first.value, second.value)
        #expect(answers.requests.count == 1)
        #expect(script.tokens.token?.isEqual(to: Script.secret("second")) == true)
    }

    @Test func `is found in what the browser brings`() {
        for (address, token) in [
            ("/?ckWebAuthToken=158__54__a%2Bb%2Fc%3D", "158__54__a+b/c="), ("/?ckSession=x", "x"),
            ("/?ckWebAuthToken=a+b", "a+b"), ("/?ckWebAuthToken=a%20b", "a+b"),
            ("https://localhost:8713/back?x=1&ckWebAuthToken=t#top", "t"), ("http://127.0.0.1:8713/#ckSession=t", "t"),
            (" https://localhost/?ckSession=t&ckWebAuthToken=t", "t"),
        ] as [(String, String)] {
            #expect(CloudKitSignIn.token(in: address)?.isEqual(to: Script.secret(token)) == true, "\(address)")
        }
        for address in [
            "", "/", "/favicon.ico", "/?ckWebAuthToken=", "/?ckWebAuthToken", "ckWebAuthToken=x", "/?ckwebauthtoken=x",
            "/?ckWebAuthToken=a&ckSession=b", "/?ckWebAuthToken=%ff", "/?ckWebAuthToken=a%0ab", "/?x=ckWebAuthToken=y",
            "/?ckWebAuthToken=" + String(repeating: "a", count: 5_000),
        ] {
            #expect(CloudKitSignIn.token(in: address) == nil, "\(address)")
        }
        #expect(CloudKitSignIn.isAPIToken(Script.secret("c13eed55a5a618a6788831fc0b193658b39b46659491e7e6")))
        for token in ["", "short", "with space in the middle", "c13eed55a5a618a6\n88831fc0b193658"] {
            #expect(!CloudKitSignIn.isAPIToken(Script.secret(token)))
        }
    }

    @Test func `begins at Apple's page, which CloudKit names`() async throws {
        let server = try ICloudServer.shared.get()
        let address = try CloudKitAddress("icloud:\(ICloudServer.container)/Z")
        func client(_ apiToken: SecretBytes, _ tokens: any WebTokens) -> CloudKitClient {
            CloudKitClient(
                address, CloudKitLine(HTTPStoreTransport(), apiToken: apiToken, tokens: tokens),
                assets: HTTPStoreTransport(),
                endpoint: server.endpoint)
        }
        #expect(try await client(ICloudServer.apiToken, MemoryWebTokens()).signInPage().contains("/signin?container="))
        await #expect(throws: StoreFailure.self) {
            _ = try await client(Script.secret("another-api-token"), MemoryWebTokens()).signInPage()
        }
        let tokens = MemoryWebTokens(try await server.token())
        let before = tokens.token
        #expect(try await client(ICloudServer.apiToken, tokens).user().hasPrefix("_"))
        #expect(before?.isEqual(to: tokens.token ?? Script.secret("")) == false)
    }
}
