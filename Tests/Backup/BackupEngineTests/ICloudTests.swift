import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import TestSupport
import Testing

@Suite struct `The address of a zone in iCloud` {
    @Test(arguments: [
        ("icloud:iCloud.org.example.coffer/phone", "icloud:iCloud.org.example.coffer/phone"),
        ("icloud:iCloud.a/b-1_2.old?environment=production", "icloud:iCloud.a/b-1_2.old"),
        ("icloud:iCloud.a/b?environment=development", "icloud:iCloud.a/b?environment=development"),
        ("icloud:iCloud.a/b?", "icloud:iCloud.a/b"),
    ])
    func `is one text for one place`(_ text: String, _ canonical: String) throws {
        #expect(try CloudKitAddress(text).text == canonical)
        #expect(try CloudKitAddress(canonical) == CloudKitAddress(text))
    }

    @Test(arguments: [
        ("iCloud.a/b", CloudKitAddress.Malformed.notAnAddress), ("icloud:", .noContainer), ("icloud:/b", .noContainer),
        ("icloud:org.example/b", .badContainer), ("icloud:iCloud./b", .badContainer),
        ("icloud:iCloud.a b/c", .badContainer),
        ("icloud:iCloud.ä/b", .badContainer), ("icloud:iCloud.a@b/c", .badContainer), ("icloud:iCloud.a", .badZone),
        ("icloud:iCloud.a/", .badZone), ("icloud:iCloud.a/b/c", .badZone), ("icloud:iCloud.a/_defaultZone", .badZone),
        ("icloud:iCloud.a/..", .badZone), ("icloud:iCloud.a/b\n", .badZone),
        ("icloud:iCloud.a/" + String(repeating: "b", count: 151), .badZone),
        ("icloud:iCloud.a/b?environment=test", .unknownOption("environment")),
        ("icloud:iCloud.a/b?ckAPIToken=secret", .unknownOption("ckAPIToken")),
    ])
    func `is refused where it could mean something else`(_ text: String, _ error: CloudKitAddress.Malformed) {
        #expect(throws: error) { _ = try CloudKitAddress(text) }
    }

    @Test func `has one sign-in for all zones of a container, and another for the other environment`() throws {
        let address = try CloudKitAddress("icloud:iCloud.a/b")
        #expect(try CloudKitAddress("icloud:iCloud.a/other").account == address.account)
        #expect(try CloudKitAddress("icloud:iCloud.a/b?environment=development").account != address.account)
        #expect(throws: CloudKitEndpoint.Malformed.notThisMachine) {
            _ = try CloudKitEndpoint(onThisMachine: "http://127.0.0.1.evil.org:80")
        }
    }
}

/// A store whose transports a test plays: what is said to CloudKit, and what to the host of assets.
struct ScriptedICloud {
    typealias Answer = Result<StoreAnswer, StoreTransportError>

    static let now: UInt64 = 1_800_000_000
    static let name = ObjectName.index(`Every store`.id(1))
    static let recordName = name.path.replacing("/", with: "_")
    static let done = json(#"{"records": [{"recordName": "\#(recordName)"}]}"#)

    let store: CloudKitStore
    let api: ScriptedTransport
    let assets: ScriptedTransport
    let clock: StandingClock
    let tokens: MemoryWebTokens
    private let backoff: Backoff

    /// - Parameter dice: how much of the longest pause each one takes.
    init(
        _ answers: [Answer], assets: [Answer] = [], triesMax: Int = 4,
        dice: @escaping @Sendable (Double) -> Double = { _ in 0 }
    ) throws {
        (clock, api, self.assets) = (StandingClock(), ScriptedTransport(answers), ScriptedTransport(assets))
        tokens = MemoryWebTokens(Self.secret("first+/="))
        backoff = Backoff(triesMax: triesMax, triesMaxUnanswered: 2, clock: clock.waiting, dice: dice)
        store = try Self.store(over: api, tokens: tokens, assets: self.assets, backoff: backoff)
    }

    /// The same device's store over another line.
    func store(over line: any StoreTransport) throws -> CloudKitStore {
        try Self.store(over: line, tokens: tokens, assets: assets, backoff: backoff)
    }

    private static func store(
        over line: any StoreTransport, tokens: MemoryWebTokens, assets: ScriptedTransport, backoff: Backoff
    ) throws -> CloudKitStore {
        CloudKitStore(
            CloudKitClient(
                try CloudKitAddress("icloud:iCloud.a/Z"),
                CloudKitLine(line, apiToken: secret("api"), tokens: tokens), assets: assets, backoff: backoff),
            now: { now })
    }

    static func secret(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }

    static func json(_ text: String, _ status: Int = 200, token: String? = "next") -> Answer {
        .success(
            StoreAnswer(
                status: status, headers: token.map { [("X-Apple-CloudKit-Web-Auth-Token", $0)] } ?? [],
                body: Array(text.utf8)))
    }

    static func error(_ code: String, _ status: Int, _ more: String = "") -> Answer {
        json(#"{"uuid": "u", "serverErrorCode": "\#(code)", "reason": "r"\#(more)}"#, status)
    }

    /// In an answer that is a success as a whole.
    static func recordError(_ code: String) -> Answer {
        json(#"{"records": [{"recordName": "\#(recordName)", "serverErrorCode": "\#(code)", "reason": "r"}]}"#)
    }

    static func record(_ fields: String) -> Answer {
        json(#"{"records": [{"recordName": "\#(recordName)", "recordType": "CofferObject", "fields": {\#(fields)}}]}"#)
    }

    static func asset(_ size: Int, url: String = "https://cvws.icloud-content.com/B/x/${f}?e=1") -> String {
        #"{"value": {"fileChecksum": "c", "size": \#(size), "downloadURL": "\#(url)"}, "type": "ASSETID"}"#
    }

    static func place(_ url: String = "https://p01.icloud-content.com/u/singleFileUpload", field: String = "part1")
        -> Answer
    {
        json(#"{"tokens": [{"recordName": "\#(recordName)", "fieldName": "\#(field)", "url": "\#(url)"}]}"#)
    }

    static func receipt(_ size: Int) -> Answer {
        json(#"{"singleFile": {"fileChecksum": "c", "size": \#(size), "receipt": "r"}}"#, token: nil)
    }

    /// The operations that were asked for.
    var asked: [String] {
        api.requests.map { request in
            request.url.prefix { $0 != "?" }.split(separator: "/").suffix(2).joined(separator: "/")
        }
    }

    func failure(_ body: () async throws -> Void) async -> ObjectStoreError? {
        do { try await body() } catch { return error as? ObjectStoreError }
        return nil
    }
}

@Suite struct `A store in iCloud` {
    typealias Script = ScriptedICloud

    @Test(arguments: [
        ("EXISTS", StoreFailure.Kind.exists), ("ZONE_NOT_FOUND", .noParent),
        ("USER_DELETED_ZONE", .noParent), ("QUOTA_EXCEEDED", .full), ("THROTTLED", .transient),
        ("TRY_AGAIN_LATER", .transient),
        ("INTERNAL_ERROR", .transient), ("CONFLICT", .transient), ("ATOMIC_ERROR", .transient),
        ("AUTHENTICATION_REQUIRED", .credentials), ("AUTHENTICATION_FAILED", .credentials), ("ACCESS_DENIED", .denied),
        ("BAD_REQUEST", .permanent), ("VALIDATING_REFERENCE_ERROR", .permanent), ("SOMETHING_NEW", .permanent),
    ])
    func `knows each error, wherever it stands`(_ code: String, _ kind: StoreFailure.Kind) throws {
        for answer in [
            Script.error(code, 400), Script.recordError(code),
            Script.json(#"{"zones": [{"zoneID": {"zoneName": "Z"}, "serverErrorCode": "\#(code)"}]}"#),
            Script.json(
                #"{"serverErrorCode": "ATOMIC_ERROR", "records": [{"serverErrorCode": "ATOMIC_ERROR"}, "#
                    + #"{"serverErrorCode": "\#(code)"}]}"#, 400),
        ] {
            let failure = try #require(CloudKitErrors.failure(answer.get()))
            #expect(failure.kind == kind)
            #expect(failure.detail.contains(code))
        }
        #expect(try CloudKitErrors.failure(Script.done.get()) == nil)
    }

    @Test func `takes nothing from an answer that is not CloudKit's`() throws {
        for status in [404, 408, 421, 425, 429, 500, 502, 503] {
            for body in ["", "<html>Misdirected Request</html>", "[]", "{}"] {
                let failure = CloudKitErrors.failure(StoreAnswer(status: status, body: Array(body.utf8)))
                #expect(failure?.kind == .transient, "\(status) \(body)")
            }
        }
        for status in [200, 204, 301, 302, 400, 401, 403, 413] {
            #expect(CloudKitErrors.failure(StoreAnswer(status: status, body: Array("<html>".utf8)))?.kind == .permanent)
        }
        let told = CloudKitErrors.failure(
            StoreAnswer(status: 500, body: Array(#"{"serverErrorCode": "a token\n of ours"}"#.utf8)))
        #expect(told?.detail == "status 500, an unknown code")
    }

    @Test func `believes no stray 404 or 421`() async throws {
        let stray = StoreAnswer(status: 404, body: Array("not here".utf8))
        let drive = try Script([
            .success(stray), .success(StoreAnswer(status: 421)), Script.record(#""size": {"value": 3}"#),
        ])
        #expect(try await drive.store.size(of: Script.name) == 3)
        let lost = try Script((0..<9).map { _ in .success(stray) })
        guard case .failed? = await lost.failure({ _ = try await lost.store.read(Script.name) }) else {
            Issue.record("not failed")
            return
        }
        let missing = try Script([Script.recordError("NOT_FOUND")])
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await missing.store.read(Script.name)
        }
    }

    @Test func `takes no success that does not tell of the record`() async throws {
        for body in ["{}", "[]", #"{"records": []}"#, #"{"records": [{"recordName": "other"}]}"#, "<html>"] {
            let writing = try Script([Script.json(body)])
            guard case .failed? = await writing.failure({ try await writing.store.create(Script.name, [1]) }) else {
                Issue.record("\(body) was taken for a record that was made")
                continue
            }
            let reading = try Script([Script.json(body)])
            guard case .failed? = await reading.failure({ _ = try await reading.store.read(Script.name) }) else {
                Issue.record("\(body) was taken for a record, or for none")
                continue
            }
        }
    }

    @Test func `waits as long as it is asked to`() async throws {
        let script = try Script([
            Script.error("THROTTLED", 429, #", "retryAfter": 7"#),
            Script.json(#"{"records": [{"serverErrorCode": "TRY_AGAIN_LATER", "retryAfter": 2.5}]}"#), Script.done,
        ])
        try await script.store.create(Script.name, [1])
        #expect(script.clock.now == 9_500_000_000)
        #expect(script.asked == ["records/modify", "records/modify", "records/modify"])
    }

    @Test func `recognises what it made when the answer was lost, and nothing else`() async throws {
        for isOurs in [true, false] {
            let script = try Script([
                .success(StoreAnswer(status: 502)), Script.recordError("EXISTS"),
                Script.record(#""mark": {"value": "0123"}"#),
            ])
            let ours = OwnMark(script.api, isOurs: isOurs)
            let store = try script.store(over: ours)
            if isOurs {
                try await store.create(Script.name, [1])
            } else {
                await #expect(throws: ObjectStoreError.exists(Script.name.path)) {
                    try await store.create(Script.name, [1])
                }
            }
        }
    }

    /// Says of the record what was sent to it, if it is to be ours.
    private final class OwnMark: StoreTransport {
        private let transport: ScriptedTransport
        private let isOurs: Bool

        init(_ transport: ScriptedTransport, isOurs: Bool) {
            self.transport = transport
            self.isOurs = isOurs
        }

        func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
            var answer = try await transport.send(request)
            guard isOurs, case .bytes(let sent)? = transport.requests.first?.body,
                let mark = String(decoding: sent, as: UTF8.self).firstMatch(of: /"mark":{"value":"([0-9a-f]{32})"/)
            else { return answer }
            answer.body = Array(String(decoding: answer.body, as: UTF8.self).replacing("0123", with: mark.1).utf8)
            return answer
        }
    }

    @Test func `makes a zone for a new store, and for nothing else`() async throws {
        let gone = Script.error("ZONE_NOT_FOUND", 404)
        let made = Script.json(#"{"zones": [{"zoneID": {"zoneName": "Z"}}]}"#)
        let keyring = Script.json(#"{"records": [{"recordName": "keyring_00000001-a"}]}"#)
        let new = try Script([gone, gone, made, keyring])
        #expect(try await new.store.list(.packs) == [])
        try await new.store.create(.keyring(number: 1, copy: .a), [1])
        #expect(new.asked == ["records/changes", "records/modify", "zones/modify", "records/modify"])
        let missing = try Script([gone])
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await missing.store.read(.header) }
        let pack = try Script([gone])
        guard case .failed(let words)? = await pack.failure({ try await pack.store.create(Script.name, [1]) }) else {
            Issue.record("not failed")
            return
        }
        #expect(words.contains("not there any more"))
        // Once it was there, neither is it made again nor taken for an empty store.
        let seen = Script.record(#""size": {"value": 3}"#)
        for body: @Sendable (CloudKitStore) async throws -> Void in [
            { try await $0.create(.header, [1]) }, { try await $0.replace(.header, [1]) },
            { _ = try await $0.list(.packs) },
            { _ = try await $0.read(Script.name) }, { _ = try await $0.size(of: .header) },
        ] {
            let script = try Script([seen, Script.error("USER_DELETED_ZONE", 404)])
            _ = try await script.store.size(of: Script.name)
            guard case .failed(let words)? = await script.failure({ try await body(script.store) }) else {
                Issue.record("not failed")
                continue
            }
            #expect(words.contains("not there any more"))
        }
    }

    @Test func `has room told by CloudKit alone`() async throws {
        for answer in [Script.recordError("QUOTA_EXCEEDED"), Script.error("QUOTA_EXCEEDED", 413)] {
            let script = try Script([answer])
            await #expect(throws: ObjectStoreError.full) { try await script.store.create(Script.name, [1]) }
        }
    }

    @Test func `sends bytes to the other host without any token, and asks again where to when an address has ended`()
        async throws
    {
        let content = [UInt8](repeating: 7, count: 600_000)
        let script = try Script(
            [Script.place(), Script.place(), Script.done],
            assets: [
                .success(StoreAnswer(status: 410)), .success(StoreAnswer(status: 503)), Script.receipt(content.count),
            ])
        try await script.store.create(Script.name, content)
        #expect(script.asked == ["assets/upload", "assets/upload", "records/modify"])
        #expect(script.assets.requests.count == 3)
        for request in script.assets.requests {
            #expect(!request.url.contains("ck") && !request.headers.contains { $0.name.lowercased().contains("apple") })
        }
        for status in [401, 403, 404, 410] {
            let ended = try Script(
                (0..<9).map { _ in Script.place() }, assets: (0..<9).map { _ in .success(StoreAnswer(status: status)) })
            guard case .failed? = await ended.failure({ try await ended.store.create(Script.name, content) }) else {
                Issue.record("not failed")
                continue
            }
            #expect(ended.asked.count == 3)
        }
        let short = try Script([Script.place()], assets: [Script.receipt(content.count - 1)])
        guard case .failed? = await short.failure({ try await short.store.create(Script.name, content) }) else {
            Issue.record("not failed")
            return
        }
        #expect(short.asked == ["assets/upload"], "no record is made")
    }

    @Test(arguments: [
        "http://p01.icloud-content.com/u", "https://evil.org/u", "https://icloud-content.com.evil.org/u",
        "https://evil.org?https://icloud.com/", "https://me@evil.org/u", "file:///etc/passwd",
        "https://evilicloud.com/u", "",
        "https://p01.icloud.com/u\nX: y",
    ])
    func `goes nowhere but to Apple`(_ url: String) async throws {
        let escaped = url.replacing("\n", with: "\\n")
        let up = try Script([Script.place(escaped)])
        let content = [UInt8](repeating: 7, count: 600_000)
        guard case .failed? = await up.failure({ try await up.store.create(Script.name, content) }) else {
            Issue.record("not failed")
            return
        }
        let down = try Script([Script.record(#""size": {"value": 3}, "part1": \#(Script.asset(3, url: escaped))"#)])
        guard case .failed? = await down.failure({ _ = try await down.store.read(Script.name) }) else {
            Issue.record("not failed")
            return
        }
        #expect(up.assets.requests.isEmpty && down.assets.requests.isEmpty)
        let page = CloudKitClient(
            try CloudKitAddress("icloud:iCloud.a/Z"),
            CloudKitLine(
                ScriptedTransport([
                    Script.json(#"{"serverErrorCode": "AUTHENTICATION_REQUIRED", "redirectURL": "\#(escaped)"}"#, 421)
                ]),
                apiToken: Script.secret("api"), tokens: MemoryWebTokens()), assets: up.assets,
            backoff: Backoff(clock: StandingClock().waiting))
        await #expect(throws: StoreFailure.self) { _ = try await page.signInPage() }
    }

    @Test(arguments: [
        #""#, #""size": {"value": "3"}"#, #""size": {"value": -1}"#, #""size": {"value": 99999999999}"#,
        #""size": {"value": 3}"#,
        #""size": {"value": 3}, "bytes": {"value": "AQI=", "type": "BYTES"}"#,
        #""size": {"value": 3}, "bytes": {"value": "!!!!", "type": "BYTES"}"#,
        #""size": {"value": 3}, "bytes": {"value": 7}"#,
        #""size": {"value": 3}, "part1": \#(Script.asset(2))"#, #""size": {"value": 3}, "part1": \#(Script.asset(4))"#,
        #""size": {"value": 3}, "part1": \#(Script.asset(-3))"#, #""size": {"value": 3}, "part1": \#(Script.asset(0))"#,
        #""size": {"value": 3}, "part2": \#(Script.asset(3))"#,
        #""size": {"value": 3}, "part1": {"value": {"fileChecksum": "c", "size": 3}, "type": "ASSETID"}"#,
        #""size": {"value": 69999999}, "bytes": {"value": ""}"#,
    ])
    func `takes no record that does not add up`(_ fields: String) async throws {
        let script = try Script([Script.record(fields)])
        guard case .failed? = await script.failure({ _ = try await script.store.read(Script.name) }) else {
            Issue.record("not failed")
            return
        }
        #expect(script.assets.requests.isEmpty)
    }

    @Test func `lists every page, begins again where its place is not known, and ends`() async throws {
        func page(_ names: [String], _ token: String, more: Bool) -> Script.Answer {
            let records = names.map { #"{"recordName": "\#($0)", "fields": {}}"# }.joined(separator: ", ")
            return Script.json(#"{"records": [\#(records)], "syncToken": "\#(token)", "moreComing": \#(more)}"#)
        }
        let (one, two) = (`Every store`.id(1).hex, `Every store`.id(2).hex)
        let script = try Script([
            page(
                ["index_\(one)", "index_\(one.uppercased())", "_other", "index/\(two)", "index_\(one).x"], "a",
                more: true),
            page(["coffer.json", "packs_02_\(two)"], "b", more: false), Script.error("BAD_REQUEST", 400),
            page(["index_\(two)"], "c", more: false),
            Script.json(
                #"{"records": [{"recordName": "index_\#(two)", "deleted": true}], "syncToken": "d", "moreComing": false}"#
            ),
        ])
        #expect(try await script.store.list(.index) == [.index(`Every store`.id(1))])
        #expect(try await script.store.list(.index) == [.index(`Every store`.id(2))])
        #expect(try await script.store.list(.index) == [])
        for places in [["a"], ["a", "b"]] {
            let endless = try Script((0..<9).map { page(["x"], places[$0 % places.count], more: true) })
            guard case .failed? = await endless.failure({ _ = try await endless.store.list(.index) }) else {
                Issue.record("not failed")
                return
            }
            #expect(endless.asked.count <= 6)
        }
        for cut in [
            #"{"records": []}"#, #"{"records": [], "syncToken": "a"}"#, "[]",
            #"{"syncToken": "a", "moreComing": false}"#,
        ] {
            let script = try Script([Script.json(cut)])
            guard case .failed? = await script.failure({ _ = try await script.store.list(.index) }) else {
                Issue.record("a list that is not whole was taken for one")
                continue
            }
        }
    }

    @Test func `puts a pack of full size into two assets, and shows nothing of it before its record is made`()
        async throws
    {
        let server = try ICloudServer(settings: #"{"webTokenSeconds": 100000}"#)
        let store = try server.store("whole")
        try await store.create(.header, [1])
        let content = noise(CloudKitContentLimits.packBytes, seed: 1)
        let name = ObjectName.pack(`Every store`.id(0xab))
        try await server.control("faults", #"{"operation": "assets.data", "status": 413, "times": 1, "skip": 1}"#)
        await #expect(throws: ObjectStoreError.self) { try await store.create(name, content) }
        #expect(try await store.list(.packs) == [])
        await #expect(throws: ObjectStoreError.notFound(name.path)) { _ = try await store.read(name) }
        try await store.create(name, content)
        #expect(try await store.size(of: name) == content.count)
        #expect(try await store.read(name) == content)
        for range in [13_999_990..<14_000_010, 0..<1, content.count - 1..<content.count, 14_000_000..<14_000_001] {
            #expect(try await store.read(name, range) == Array(content[range]))
        }
        let record = try #require(
            try await server.records().first { ($0["recordName"] as? String)?.hasPrefix("packs") == true })
        #expect((record["fields"] as? [String: Any])?.keys.sorted() == ["mark", "part1", "part2", "size"])
        // Ends after an hour.
        try await server.control("clock", #"{"advance": 4000}"#)
        #expect(try await store.read(name, 5..<9) == Array(content[5..<9]))
    }

    @Test func `keeps a whole backup through a bad line`() async throws {
        let server = try ICloudServer()
        let store = try server.store("backup") { FaultyTransport($0, seed: 3, busy: ICloudServer.busy) }
        let wing = try await Wing(store)
        let files = ["a": noise(2_000_000, seed: 1), "b": noise(700_000, seed: 2), "c": [1, 2, 3]]
        try await wing.backUp(MemorySource(files))
        #expect(try await wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files == files)
    }
}

/// The largest pack.
enum CloudKitContentLimits {
    static let packBytes = ObjectCipher.objectBytes(plaintextBytes: packBytesMax)
}
