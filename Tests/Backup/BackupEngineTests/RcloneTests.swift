import BackupEngine
import BackupFormat
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStores

@Suite struct `The address of a place in rclone` {
    @Test(arguments: [
        ("rclone:box:", "rclone:box:"), ("rclone:box:chats/phone/", "rclone:box:chats/phone"),
        ("rclone:my box:/srv/chats", "rclone:my box:/srv/chats"),
        ("rclone:é_1+@.-x:a, b=c:d", "rclone:é_1+@.-x:a, b=c:d"),
        ("rclone::local:/srv", "rclone::local:/srv"),
    ])
    func `is one text for one place`(_ text: String, _ canonical: String) throws {
        #expect(try RcloneAddress(text).text == canonical)
        #expect(try RcloneAddress(canonical) == RcloneAddress(text))
    }

    @Test(arguments: [
        ("box:chats", RcloneAddress.Malformed.notAnAddress), ("rclone:", .notAnAddress), ("rclone:box", .notAnAddress),
        ("rclone:/srv/box", .notAnAddress), ("rclone:::local:/srv", .notAnAddress),
        ("rclone::webdav,pass=secret:chats", .hasOptions), ("rclone:box,pass=secret:chats", .hasOptions),
        ("rclone:box,pass=\"se:cret\":chats", .hasOptions), ("rclone::s3=x:", .hasOptions), ("rclone::", .notAnAddress),
        ("rclone:-box:", .badRemote), ("rclone: box:", .badRemote), ("rclone:box/a:b", .badRemote),
        ("rclone:b\"x:", .badRemote), ("rclone:box:a//b", .badPath), ("rclone:box:a/../b", .badPath),
        ("rclone:box:./a", .badPath), ("rclone:box:a]b", .badPath), ("rclone:box:a?b", .badPath),
        ("rclone:box:a\nb", .badPath), ("rclone:box:/", .badPath), ("rclone:box:a\\b", .badPath),
    ])
    func `is refused where it would mean something else`(_ text: String, _ error: RcloneAddress.Malformed) {
        #expect(throws: error) { _ = try RcloneAddress(text) }
    }
}

@Suite struct `An error of rclone's` {
    static func failure(_ status: Int, _ words: String) -> StoreFailure {
        let body = try? JSONEncoder().encode(["error": words, "path": "operations/stat"])
        return RcloneFailure.failure(StoreAnswer(status: status, body: Array(body ?? Data())))
    }

    /// As rclone 1.75 and the services write them.
    @Test(arguments: [
        (404, "failed to find object: object not found", StoreFailure.Kind.missing),
        (404, "error in ListJSON: directory not found", .missing),
        (404, "couldn't find method \"operations/uploadfile\"", .permanent),
        (500, "error in ListJSON: directory not found", .transient),
        (500, "didn't find section in config file (\"box\")", .noPlace),
        (500, "is a file not a directory", .noPlace),
        (
            500, "failed to configure dropbox: empty token found - please run \"rclone config reconnect box:\"",
            .credentials
        ),
        (
            500,
            "couldn't fetch token: invalid_grant: maybe token expired? - try refreshing with \"rclone config reconnect x:\"",
            .credentials
        ),
        (
            500,
            "couldn't fetch token: Post \"https://oauth2.googleapis.com/token\": dial tcp: lookup oauth2.googleapis.com: no such host",
            .transient
        ),
        (500, "googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded", .full),
        (500, "googleapi: Error 403: Quota exceeded for quota metric 'Queries', rateLimitExceeded", .transient),
        (500, "path/insufficient_space/..", .full), (500, "too_many_requests/.", .transient),
        (500, "write /mnt/nas/x: no space left on device", .full), (500, "open /srv/x: permission denied", .denied),
        (500, "open /srv/x: read-only file system", .denied),
        (500, "NewFs: couldn't connect SSH: ssh: handshake failed: ssh: unable to authenticate", .credentials),
        (500, "dial tcp 127.0.0.1:22: connect: connection refused", .transient),
        (500, "api error InvalidAccessKeyId: The key does not exist", .credentials),
        (500, "invalidRequest: quotaLimitReached: Insufficient Space Available", .full),
        (
            500, "panic received: fatal error: Failed to load config file \"c\": unable to decrypt configuration",
            .noPlace
        ),
        (500, "rmdir /srv/x: directory not empty", .permanent), (500, "something quite new", .transient),
        (400, "something quite new", .permanent),
    ])
    func `means one thing`(_ status: Int, _ words: String, _ kind: StoreFailure.Kind) {
        #expect(Self.failure(status, words).kind == kind)
    }

    @Test func `without words of rclone's is known by its status`() {
        func kind(_ status: Int) -> StoreFailure.Kind { RcloneFailure.failure(StoreAnswer(status: status)).kind }
        #expect(
            [404, 416, 500, 502, 400, 401].map(kind) == [
                .rangeInvalid, .rangeInvalid, .transient, .transient, .permanent, .permanent,
            ])
    }

    @Test(arguments: [
        (
            "open: Get \"https://me:pa55@h.example.org:1/d?tempauth=eyJ0123456789abcdef\": EOF",
            "open: Get \"https://h.example.org:1/…: EOF"
        ),
        ("token=ya29.A0ARrdaM0123456789 is old", "token=… is old"),
        ("Authorization: Bearer abcdefghijkl0123456789", "Authorization: Bearer …"),
        ("packs/ab/00112233445566778899aabbccddeeff: cut\u{1b}[31m\r\nInjected: x", "packs/ab/…: cut [31m Injected: x"),
        ("token=ya29.A0ARrdaM0123456789,url=https://h/x", "token=…,url=https://h/…"),
        ("https://me:pa/55@h/", "https://…/…"), ("https://me:p?5@h/x", "https://…/…"),
        ("sftp://host/a/b", "sftp://host/…"), ("panic received: fatal error: no room", "no room"),
    ])
    func `is shown on one line, without what may be a secret`(_ said: String, _ shown: String) {
        #expect(RcloneFailure.words(said) == "rclone says: \(shown)")
        #expect(RcloneFailure.words(String(repeating: "x ", count: 5_000)).count < 400)
    }
}

/// Answers in the order in which it is asked; keeps what it was asked.
private struct Script {
    let store: RcloneStore
    let transport: ScriptedTransport
    let clock = StandingClock()

    struct Service: RcloneService {
        func endpoint() async throws(StoreFailure) -> RcloneEndpoint {
            RcloneEndpoint(url: "http+unix://%2Fs", authorization: "Basic x")
        }

        func lastWords() async -> String { ": nothing" }
    }

    /// - Parameter asksFeatures: whether what the remote can do is asked first.
    init(
        _ answers: [Result<StoreAnswer, StoreTransportError>], moves: Bool = true, asksFeatures: Bool = true
    ) throws {
        let features = Self.said("{\"Features\":{\"Move\":\(moves),\"Copy\":true},\"Name\":\"box\"}")
        transport = ScriptedTransport((asksFeatures ? [features] : []) + answers)
        store = RcloneStore(
            RcloneClient(
                try RcloneAddress("rclone:box:a b/c"), Service(), transport: transport, clock: clock.waiting,
                dice: { $0 }))
    }

    static func said(_ body: String, _ status: Int = 200) -> Result<StoreAnswer, StoreTransportError> {
        .success(StoreAnswer(status: status, body: Array(body.utf8)))
    }

    static func size(_ size: Int) -> Result<StoreAnswer, StoreTransportError> {
        said("{\"item\":{\"Path\":\"x\",\"Name\":\"x\",\"Size\":\(size),\"ModTime\":\"\",\"IsDir\":false}}")
    }

    static let done = said("{}\n")
    static let nothing = said("{\"item\":null}")
    static let missing = said("{\"error\":\"object not found\",\"status\":404}", 404)

    /// A folder's list, with paths from the place on.
    static func list(_ paths: [String]) -> Result<StoreAnswer, StoreTransportError> {
        let items = paths.map { "{\"Path\":\"\($0)\",\"Name\":\"x\",\"Size\":-1,\"ModTime\":\"\",\"IsDir\":true}" }
        return said("{\"list\":[\(items.joined(separator: ","))]}")
    }

    static let nowhere = said("{\"error\":\"error in ListJSON: directory not found\",\"status\":404}", 404)
    static let notThere = [missing, list(["packs"])]

    /// `stat`, `GET`
    var operations: [String] {
        transport.requests.map { request in
            request.method == "GET"
                ? "GET" : String(request.url.split(separator: "/").last?.prefix { $0 != "?" } ?? "")
        }
    }

    func field(_ name: String, _ index: Int) -> String? {
        guard case .bytes(let bytes) = transport.requests[index].body else { return nil }
        let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        return object?[name] as? String
    }
}

@Suite struct `A store behind rclone` {
    static let name = ObjectName.pack(`Every store`.id(1))

    @Test func `uploads under a temporary name, looks, and moves`() async throws {
        let script = try Script([Script.nothing, Script.done, Script.size(5), Script.done])
        try await script.store.create(Self.name, Array("hello".utf8))
        #expect(script.operations == ["fsinfo", "stat", "uploadfile", "stat", "movefile"])
        let upload = script.transport.requests[2]
        #expect(upload.url.hasPrefix("http+unix://%2Fs/operations/uploadfile?fs=box%3Aa%20b%2Fc&remote="))
        let type = upload.headers.first { $0.name == "content-type" }?.value ?? ""
        let boundary = type.dropFirst("multipart/form-data; boundary=".count)
        let temporary = try #require(script.field("remote", 3))
        #expect(temporary.hasPrefix(".writing-") && !temporary.contains("/"))
        guard case .bytes(let bytes) = upload.body else { throw ObjectStoreError.full }
        let head =
            "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(temporary)\"\r\n"
            + "Content-Type: application/octet-stream\r\n\r\n"
        #expect(String(decoding: bytes, as: UTF8.self) == "\(head)hello\r\n--\(boundary)--\r\n")
        #expect(script.field("srcRemote", 4) == temporary)
        #expect(script.field("dstRemote", 4) == Self.name.path)
        #expect(script.transport.requests.allSatisfy { $0.headers.contains { $0 == ("authorization", "Basic x") } })
    }

    @Test func `uploads under the name itself where nothing moves files`() async throws {
        let script = try Script([Script.nothing, Script.done, Script.size(1)], moves: false)
        try await script.store.create(Self.name, [1])
        #expect(script.operations == ["fsinfo", "stat", "uploadfile", "stat"])
        #expect(script.field("remote", 3) == Self.name.path)
        #expect(script.transport.requests[2].url.hasSuffix("&remote=packs%2F01"))
        #expect(try await script.store.abandoned(before: .max, removing: true) == 0)
        #expect(script.operations.count == 4)
    }

    @Test func `takes nothing that arrived cut, and leaves none of it`() async throws {
        let cut = [Script.done, Script.size(2), Script.done]
        let script = try Script([Script.nothing] + cut + [Script.done, Script.size(3), Script.done])
        try await script.store.create(Self.name, [1, 2, 3])
        #expect(
            script.operations == [
                "fsinfo", "stat", "uploadfile", "stat", "deletefile", "uploadfile", "stat", "movefile",
            ])
        let never = try Script([Script.nothing] + cut + cut + cut + [Script.missing])
        await #expect { try await never.store.create(Self.name, [1, 2, 3]) } throws: { error in
            if case ObjectStoreError.failed(let words) = error {
                words.hasSuffix("it arrives cut, each time")
            } else {
                false
            }
        }
        #expect(never.operations.last == "deletefile")
        for answer in [Script.nothing, Script.missing] {
            let gone = [Script.done, answer, answer]
            let lost = try Script([Script.nothing] + gone + gone + gone, moves: false)
            await #expect(throws: ObjectStoreError.failed("\(Self.name.path): it arrives cut, each time")) {
                try await lost.store.create(Self.name, [])
            }
            #expect(!lost.operations.contains("deletefile"))
        }
    }

    @Test func `under its own name deletes what is cut, and nothing else`() async throws {
        let cut = try Script(
            [Script.nothing, Script.done, Script.size(2), Script.size(2), Script.done, Script.done, Script.size(3)],
            moves: false)
        try await cut.store.create(Self.name, [1, 2, 3])
        #expect(
            cut.operations == ["fsinfo", "stat", "uploadfile", "stat", "stat", "deletefile", "uploadfile", "stat"])
        let late = try Script(
            [Script.nothing, Script.done, Script.nothing, Script.size(3)], moves: false)
        try await late.store.create(Self.name, [1, 2, 3])
        let other = try Script(
            [Script.nothing, Script.done, Script.size(9), Script.size(9)], moves: false)
        await #expect(throws: ObjectStoreError.exists(Self.name.path)) {
            try await other.store.create(Self.name, [1, 2, 3])
        }
        #expect(!other.operations.contains("deletefile"))
    }

    @Test func `a move whose answer was lost is no failure, and one that lost the file is`() async throws {
        let before = [Script.nothing, Script.done, Script.size(1), .failure(.broken("rclone was killed"))]
        // A server of WebDAV that Go brings says so where the source is gone.
        let forbidden = Script.said("{\"error\":\"copy call failed: Forbidden: 403 Forbidden\"}", 500)
        for again in [Script.missing, forbidden] {
            try await Script(before + [again, Script.nothing, Script.size(1)]).store.create(Self.name, [1])
        }
        let other = try Script(before + [Script.missing, Script.nothing, Script.size(7), Script.missing])
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): it was lost on its way")) {
            try await other.store.create(Self.name, [1])
        }
        // That server deletes what is at the place before it looks for the source.
        let lost = before.dropFirst() + [forbidden, Script.nothing, Script.nothing]
        let again = try Script([Script.nothing] + lost + [Script.done, Script.size(1), Script.done])
        try await again.store.create(Self.name, [1])
        #expect(again.operations.filter { $0 == "uploadfile" }.count == 2)
        let never = try Script([Script.nothing] + lost + lost + lost + [Script.missing])
        await #expect { try await never.store.create(Self.name, [1]) } throws: { error in
            if case ObjectStoreError.failed(let words) = error { words.hasSuffix("each time") } else { false }
        }
        let refused = try Script(before + [forbidden, Script.size(1), Script.done])
        await #expect {
            try await refused.store.create(Self.name, [1])
        } throws: {
            if case ObjectStoreError.denied = $0 { true } else { false }
        }
        #expect(refused.operations.last == "deletefile")
    }

    @Test func `replaces the header so that a whole one has a name at each moment`() async throws {
        let script = try Script(
            [Script.size(1), Script.done, Script.size(1)] + Script.notThere + [
                Script.done, Script.done, Script.size(1), Script.done, Script.done, Script.size(1), Script.done,
            ])
        try await script.store.replace(.header, [1])
        #expect(
            script.operations == [
                "fsinfo", "stat", "uploadfile", "stat", "deletefile", "list", "movefile", "uploadfile", "stat",
                "deletefile", "movefile", "stat", "deletefile",
            ])
        #expect(
            [4, 9, 11, 12].map { script.field("remote", $0) } == [
                "coffer.json.next", "coffer.json", "coffer.json", "coffer.json.next",
            ])
        #expect([6, 10].map { script.field("dstRemote", $0) } == ["coffer.json.next", "coffer.json"])
        #expect([6, 10].allSatisfy { script.field("srcRemote", $0)?.hasPrefix(".writing-") == true })
    }

    @Test func `keeps the next header where the last move is lost`() async throws {
        let forbidden = Script.said("{\"error\":\"copy call failed: Forbidden: 403 Forbidden\"}", 500)
        let begin =
            [Script.size(1), Script.done, Script.size(1)] + Script.notThere + [
                Script.done, Script.done, Script.size(1), Script.done,
            ]
        let lost = [forbidden, Script.nothing, Script.nothing]
        let again = try Script(
            begin + lost + [Script.done, Script.size(1)] + Script.notThere + [Script.done, Script.size(1), Script.done])
        try await again.store.replace(.header, [1])
        #expect(again.operations.filter { $0 == "uploadfile" }.count == 3)
        let resent = [Script.done, Script.size(1)] + Script.notThere + lost
        let never = try Script(begin + lost + resent + resent + [Script.missing])
        await #expect { try await never.store.replace(.header, [1]) } throws: { "\($0)".contains("each time") }
        let after = (10..<never.operations.count).filter {
            never.field("remote", $0) == "coffer.json.next" || never.field("srcRemote", $0) == "coffer.json.next"
        }
        #expect(after == [], "nothing touches it any more")
    }

    @Test func `replaces the header of a bucket, and deletes nothing there`() async throws {
        let direct = try Script([Script.done, Script.size(1)], moves: false)
        try await direct.store.replace(.header, [1])
        #expect(direct.operations == ["fsinfo", "uploadfile", "stat"])
        let late = try Script(
            [Script.done, Script.size(2), Script.size(2), Script.done, Script.nothing, Script.size(1)], moves: false)
        try await late.store.replace(.header, [1])
        #expect(late.operations == ["fsinfo", "uploadfile", "stat", "stat", "uploadfile", "stat", "stat"])
        let other = [Script.done, Script.size(2), Script.size(2)]
        let never = try Script(other + other + other, moves: false)
        await #expect { try await never.store.replace(.header, [1]) } throws: { "\($0)".hasPrefix("failed") }
        #expect(!never.operations.contains("deletefile"))
    }

    @Test func `reads a header whose replacement was cut, and moves nothing for that`() async throws {
        let features = Script.said("{\"Features\":{\"Move\":true,\"More\":1}}")
        let new = StoreAnswer(status: 200, headers: [("Content-Length", "3")], body: Array("new".utf8))
        let root = Script.list(["coffer.json.next", "packs"])
        let cut = try Script([Script.missing, root, features, .success(new)], asksFeatures: false)
        #expect(try await cut.store.read(.header) == Array("new".utf8))
        #expect(cut.operations == ["GET", "list", "fsinfo", "GET"])
        let taken = try Script([Script.nothing, root, Script.size(3)])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) { try await taken.store.create(.header, [1]) }
        // The writer was done between two looks.
        let done = try Script(
            [
                Script.nothing, Script.list([]), features, Script.nothing, Script.list(["coffer.json"]), Script.nothing,
                Script.list(["coffer.json"]), Script.size(7),
            ], asksFeatures: false)
        #expect(try await done.store.size(of: .header) == 7)
        let none = try Script(
            [Script.nothing, Script.list([]), Script.nothing, Script.list([]), Script.nothing, Script.list([])]
                + [Script.done, Script.size(1), Script.done])
        try await none.store.create(.header, [1])
    }

    @Test func `gives a header its name back before it is replaced`() async throws {
        let old = StoreAnswer(status: 200, headers: [("Content-Length", "3")], body: Array("old".utf8))
        let root = Script.list(["coffer.json.next", "packs"])
        let script = try Script([
            Script.nothing, root, Script.size(3), .success(old), Script.done, Script.size(3), Script.done,
        ])
        await #expect(throws: ObjectStoreError.self) { try await script.store.replace(.header, [1]) }
        #expect(
            script.operations.prefix(8) == ["fsinfo", "stat", "list", "stat", "GET", "uploadfile", "stat", "movefile"])
        #expect(script.field("dstRemote", 7) == "coffer.json")
    }

    @Test func `tells a part behind the end from what cannot be opened just now`() async throws {
        func read(_ answers: [Result<StoreAnswer, StoreTransportError>]) async throws -> [UInt8] {
            try await Script(answers, asksFeatures: false).store.read(Self.name, 4..<6)
        }
        func part(_ body: String, _ range: String) -> Result<StoreAnswer, StoreTransportError> {
            .success(StoreAnswer(status: 206, headers: [("Content-Range", range)], body: Array(body.utf8)))
        }
        #expect(try await read([part("45", "bytes 4-5/6")]) == Array("45".utf8))
        let unopened = Script.said("Not Found\n", 404)
        #expect(try await read([unopened, Script.size(6), part("45", "bytes 4-5/6")]) == Array("45".utf8))
        for answers in [
            [part("", "bytes 4-3/4")], [part("", "bytes 4-2/3")], [part("4", "bytes 4-4/5")],
            [unopened, Script.size(5)],
        ] {
            await #expect(throws: ObjectStoreError.truncated(Self.name.path)) { _ = try await read(answers) }
        }
        await #expect(throws: ObjectStoreError.notFound(Self.name.path)) {
            _ = try await read([unopened, Script.nothing, Script.list([])])
        }
        let there = (0..<9).flatMap { _ in [unopened, Script.size(6)] }
        let busy = try Script(there.dropLast(2) + [part("45", "bytes 4-5/6")], asksFeatures: false)
        #expect(try await busy.store.read(Self.name, 4..<6) == Array("45".utf8))
        #expect(busy.clock.now > 5_000_000_000, "it was not asked at once each time")
        let never = try Script(there + there, asksFeatures: false)
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): rclone cannot open it: nothing")) {
            _ = try await never.store.read(Self.name, 4..<6)
        }
        // Less than was asked for of something longer.
        #expect(
            try await read([part("4", "bytes 4-4/100"), part("45", "bytes 4-5/100")]) == Array("45".utf8))
    }

    @Test func `takes no folder for empty that the place's list names`() async throws {
        let name = ObjectName.snapshot(SnapshotName(number: 1, id: `Every store`.id(1)))
        let (stray, found) = ([Script.nowhere, Script.list(["snapshots"])], Script.list([name.path]))
        let again = try Script(stray + [found], asksFeatures: false)
        #expect(try await again.store.list(.snapshots) == [name])
        let never = try Script(stray + stray + stray, asksFeatures: false)
        await #expect { _ = try await never.store.list(.snapshots) } throws: { "\($0)".hasPrefix("failed") }
        let empty = try Script([Script.nowhere, Script.list(["packs"])], asksFeatures: false)
        #expect(try await empty.store.list(.snapshots) == [])
        // Nothing at all was ever there; and a place that was there is not.
        let new = try Script([Script.nowhere, Script.nowhere, Script.nowhere], asksFeatures: false)
        #expect(try await new.store.list(.snapshots) == [])
        let lost = try Script([Script.size(1), Script.nowhere, Script.nowhere], asksFeatures: false)
        _ = try await lost.store.size(of: Self.name)
        await #expect(throws: ObjectStoreError.failed("rclone:box:a b/c is not there any more, or not just now")) {
            _ = try await lost.store.list(.snapshots)
        }
    }

    @Test func `takes no object for lost that its folder's list names`() async throws {
        let (folder, there) = (Script.list([Self.name.path]), Script.size(3))
        let found = try Script([Script.nothing, folder, there], asksFeatures: false)
        #expect(try await found.store.size(of: Self.name) == 3)
        #expect(found.field("remote", 1) == "packs/01")
        let stray = [Script.nothing, folder]
        let never = try Script(stray + stray + stray, asksFeatures: false)
        await #expect { _ = try await never.store.size(of: Self.name) } throws: { "\($0)".hasPrefix("failed") }
        // Up to the folder that answers.
        let gone = try Script([Script.nothing, Script.nowhere, Script.list([])], asksFeatures: false)
        await #expect(throws: ObjectStoreError.notFound(Self.name.path)) {
            _ = try await gone.store.size(of: Self.name)
        }
        let up = try Script([Script.nothing, Script.nowhere, Script.list(["packs/01"]), there], asksFeatures: false)
        #expect(try await up.store.size(of: Self.name) == 3)
        let kept = try Script([Script.missing, folder, Script.done], asksFeatures: false)
        try await kept.store.delete(Self.name)
        #expect(kept.operations == ["deletefile", "list", "deletefile"])
        let header = try Script([Script.nothing, Script.list(["coffer.json"]), Script.size(5)])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) { try await header.store.create(.header, [1]) }
    }

    @Test func `takes no more into memory than an object has`() async throws {
        let script = try Script([], asksFeatures: false)
        _ = try? await script.store.read(.header)
        _ = try? await script.store.list(.packs)
        #expect(script.transport.requests.first?.answerBytesMax == 1 << 20)
        #expect(script.transport.requests.last?.answerBytesMax == 64 << 20)
    }

    @Test func `asks three times where nothing went well yet, and more often later`() async throws {
        let failure = Script.said("{\"error\":\"something quite new\"}", 500)
        let first = try Script([failure, failure, failure, failure], asksFeatures: false)
        await #expect(
            throws: ObjectStoreError.failed("\(Self.name.path): rclone says: something quite new")
        ) { _ = try await first.store.size(of: Self.name) }
        #expect(first.operations.count == 3)
        let later = try Script([
            failure, failure, failure, failure, Script.nothing, Script.done, Script.size(1), Script.done,
        ])
        try await later.store.create(Self.name, [1])
    }

    @Test func `sees what killed writers left, by its age`() async throws {
        func file(_ path: String, _ time: String, _ size: Int) -> String {
            "{\"Path\":\"\(path)\",\"Name\":\"x\",\"Size\":\(size),\"ModTime\":\"\(time)\",\"IsDir\":false}"
        }
        let list = Script.said(
            "{\"list\":["
                + [
                    file(".writing-a", "2026-01-01T00:00:00.123456789Z", 10),
                    file(".writing-b", "2026-01-01T02:00:00+02:00", 100),
                    file(".writing-c", "2026-01-01T00:00:02Z", 1_000), file(".writing-d", "", 1_000),
                    file("coffer.json", "2025-01-01T00:00:00Z", 1_000), file("other", "2025-01-01T00:00:00Z", 1_000),
                ].joined(separator: ",") + "]}")
        let script = try Script([list, Script.done, Script.missing])
        #expect(try await script.store.abandoned(before: 1_767_225_601, removing: true) == 110)
        #expect([2, 3].map { script.field("remote", $0) } == [".writing-a", ".writing-b"])
        #expect(try await Script([list]).store.abandoned(before: 1_767_225_601, removing: false) == 110)
        // A header that has both names, and one that has the other alone.
        let (header, next) = (
            file("coffer.json", "2025-01-01T00:00:00Z", 3), file("coffer.json.next", "2025-01-01T00:00:00Z", 3)
        )
        let both = try Script([Script.said("{\"list\":[\(header),\(next)]}"), Script.done])
        #expect(try await both.store.abandoned(before: 1_767_225_601, removing: true) == 3)
        #expect(both.field("remote", 2) == "coffer.json.next")
        let whole = StoreAnswer(status: 200, headers: [("Content-Length", "3")], body: [1, 2, 3])
        let cut = try Script([
            Script.said("{\"list\":[\(next)]}"), Script.nothing, Script.list(["coffer.json.next"]), Script.size(3),
            .success(whole), Script.done, Script.size(3), Script.done,
        ])
        #expect(try await cut.store.abandoned(before: 1_767_225_601, removing: true) == 0)
        #expect(cut.operations.suffix(2) == ["stat", "movefile"])
        let young = try Script([Script.said("{\"list\":[\(next)]}")])
        #expect(try await young.store.abandoned(before: 1_600_000_000, removing: true) == 0)
    }

    @Test func `takes nothing for whole whose length was not said`() async throws {
        let script = try Script([Script.said("half")], asksFeatures: false)
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): its length is not said")) {
            _ = try await script.store.read(Self.name)
        }
    }

    @Test func `takes no place that is missing for an object that was lost`() async throws {
        for answers in [
            [Script.nothing, Script.nowhere, Script.missing],
            [Script.nothing, Script.done, Script.size(1), Script.nowhere, Script.size(1), Script.done],
        ] {
            await #expect { try await Script(answers).store.create(Self.name, [1]) } throws: { error in
                guard case ObjectStoreError.failed(let words) = error else { return false }
                return words.hasSuffix("the place that it goes to is not found")
            }
        }
    }

    @Test func `does not say that it refuses to write over an object`() throws {
        #expect(try Script([]).store.probed() == StoreCapabilities(refusesToReplace: false))
    }

    @Test func `says its room where the remote does`() async throws {
        func free(_ answer: Result<StoreAnswer, StoreTransportError>) async throws -> UInt64? {
            try await Script([answer], asksFeatures: false).store.freeBytes()
        }
        #expect(try await free(Script.said("{\"total\":10,\"used\":3,\"free\":7}")) == 7)
        #expect(try await free(Script.said("{\"used\":3}")) == nil)
        #expect(try await free(Script.said("{\"error\":\"S3 root doesn't support about\"}", 500)) == nil)
    }
}
