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

    struct Service: RcloneService {
        func endpoint() async throws(StoreFailure) -> RcloneEndpoint {
            RcloneEndpoint(url: "http+unix://%2Fs", authorization: "Basic x")
        }
    }

    /// - Parameter asksFeatures: whether what the remote can do is asked first.
    init(
        _ answers: [Result<StoreAnswer, StoreTransportError>], moves: Bool = true, asksFeatures: Bool = true
    ) throws {
        let features = Self.said("{\"Features\":{\"Move\":\(moves),\"Copy\":true},\"Name\":\"box\"}")
        transport = ScriptedTransport((asksFeatures ? [features] : []) + answers)
        store = RcloneStore(
            RcloneClient(
                try RcloneAddress("rclone:box:a b/c"), Service(), transport: transport, clock: StandingClock().waiting,
                dice: { _ in 0 }))
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
        let gone = [Script.done, Script.nothing, Script.missing]
        let lost = try Script([Script.nothing] + gone + gone + gone, moves: false)
        await #expect(throws: ObjectStoreError.self) { try await lost.store.create(Self.name, []) }
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

    @Test func `replaces the header so that a new one is complete before the old one goes`() async throws {
        let script = try Script([
            Script.done, Script.size(1), Script.missing, Script.done, Script.done, Script.done,
        ])
        try await script.store.replace(.header, [1])
        #expect(
            script.operations == [
                "fsinfo", "uploadfile", "stat", "deletefile", "movefile", "deletefile", "movefile",
            ])
        #expect([3, 5].map { script.field("remote", $0) } == ["coffer.json.next", "coffer.json"])
        #expect([4, 6].map { script.field("dstRemote", $0) } == ["coffer.json.next", "coffer.json"])
        let direct = try Script([Script.done, Script.size(1)], moves: false)
        try await direct.store.replace(.header, [1])
        #expect(direct.operations == ["fsinfo", "uploadfile", "stat"])
    }

    @Test func `finishes a replacement that was cut, before anything is said of the header`() async throws {
        let features = Script.said("{\"Features\":{\"Move\":true,\"More\":1}}")
        let new = StoreAnswer(status: 200, headers: [("Content-Length", "3")], body: Array("new".utf8))
        let cut = try Script(
            [Script.missing, features, Script.size(3), Script.done, .success(new)], asksFeatures: false)
        #expect(try await cut.store.read(.header) == Array("new".utf8))
        let taken = try Script([Script.nothing, Script.size(3), Script.done, Script.size(3)])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) { try await taken.store.create(.header, [1]) }
        let none = try Script([Script.nothing, Script.nothing, Script.done, Script.size(1), Script.done])
        try await none.store.create(.header, [1])
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
            _ = try await read([unopened, Script.nothing])
        }
        let there = [unopened, Script.size(6)]
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): rclone cannot open it")) {
            _ = try await read(there + there + there)
        }
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
    }

    @Test func `takes nothing for whole whose length was not said`() async throws {
        let script = try Script([Script.said("half")], asksFeatures: false)
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): its length is not said")) {
            _ = try await script.store.read(Self.name)
        }
    }

    @Test func `takes no place that is missing for an object that was lost`() async throws {
        let nowhere = Script.said("{\"error\":\"directory not found\"}", 404)
        for answers in [
            [Script.nothing, nowhere, Script.missing],
            [Script.nothing, Script.done, Script.size(1), nowhere, Script.size(1), Script.done],
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
