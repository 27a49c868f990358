import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import Synchronization
import TestSupport
import Testing

/// Answers of servers, and stores that get them.
enum WebDAVScript {
    typealias Answer = Result<StoreAnswer, StoreTransportError>

    static let name = ObjectName.index(`Every store`.id(1))
    static let now: UInt64 = 1_369_353_600

    static func store(
        _ answers: [Answer], address: String = "webdav:https://h/p", clock: StandingClock = StandingClock()
    ) throws -> (store: WebDAVStore, transport: ScriptedTransport) {
        let transport = ScriptedTransport(answers)
        let client = WebDAVClient(
            try WebDAVAddress(address),
            WebDAVCredentials(user: "Mufasa", password: SecretBytes(copying: Array("Circle of Life".utf8))),
            transport: transport,
            backoff: Backoff(triesMax: 4, triesMaxUnanswered: 2, clock: clock.waiting, dice: { $0 }), now: { now })
        return (WebDAVStore(client), transport)
    }

    static func answer(_ status: Int, _ body: String = "", _ headers: [(name: String, value: String)] = []) -> Answer {
        .success(StoreAnswer(status: status, headers: headers, body: Array(body.utf8)))
    }

    static let lost = Answer.failure(.broken("the connection broke off"))

    /// As Nextcloud says it, for paths below the store's folder.
    static func list(_ entries: [(path: String, properties: String)], _ headers: [(name: String, value: String)] = [])
        -> Answer
    {
        let responses = entries.map { entry in
            "<d:response><d:href>/p/\(entry.path)</d:href><d:propstat><d:prop>\(entry.properties)</d:prop>"
                + "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        }
        return answer(
            207, "<?xml version=\"1.0\"?>\n<d:multistatus xmlns:d=\"DAV:\">\(responses.joined())</d:multistatus>",
            headers)
    }

    /// The server's root, and what lies in it.
    static func above(_ names: String...) -> Answer {
        let responses = ([""] + names).map {
            "<response><href>/\($0)</href><propstat><prop>\(folder)</prop></propstat></response>"
        }
        return answer(207, "<multistatus xmlns:d=\"DAV:\">\(responses.joined())</multistatus>")
    }

    static let folder = "<d:resourcetype><d:collection/></d:resourcetype>"

    static func file(_ byteCount: Int) -> String {
        "<d:resourcetype/><d:getcontentlength>\(byteCount)</d:getcontentlength>"
    }

    static func size(_ byteCount: Int) -> Answer { list([("x", file(byteCount))]) }

    /// What a store sees before its first object goes there: the store is there, with all its folders.
    static let prepared = [
        list([
            ("", folder), ("keyring/", folder), ("index/", folder), ("packs/", folder), ("staging/", folder),
            ("coffer.json", file(3)),
        ])
    ]

    static func header(_ name: String, _ request: StoreRequest?) -> String? {
        request?.headers.first { $0.name == name }?.value
    }

    static func lines(_ transport: ScriptedTransport) -> [String] {
        transport.requests.map { request in
            let path = request.url.dropFirst("https://h/p/".count)
            return "\(request.method) \(path.hasPrefix("staging/") && path.count > 10 ? "staging/*" : path)"
        }
    }
}

@Suite struct `An object on its way to a server` {
    private typealias Script = WebDAVScript
    private static let path = Script.name.path

    @Test func `goes under a random name, is looked at, and moved to a free name`() async throws {
        let (store, transport) = try Script.store(
            Script.prepared + [Script.answer(201), Script.size(5), Script.answer(201)])
        try await store.create(Script.name, Array("hello".utf8))
        #expect(Script.lines(transport) == ["PROPFIND ", "PUT staging/*", "PROPFIND staging/*", "MOVE staging/*"])
        let (put, look, move) = (transport.requests[1], transport.requests[2], transport.requests[3])
        #expect(Script.header("destination", move) == "https://h/p/\(Self.path)")
        #expect(Script.header("overwrite", move) == "F")
        #expect(Script.header("content-type", look) == "application/xml")
        #expect(Script.header("depth", look) == "0")
        #expect(put.url == move.url)
        #expect(put.url.count == "https://h/p/staging/".count + 32)
        #expect(
            transport.requests.allSatisfy { Script.header("authorization", $0) == "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl" }
        )
    }

    @Test func `replaces the header when it is told to`() async throws {
        let (store, transport) = try Script.store([
            Script.list([("", Script.folder)]), Script.answer(405), Script.answer(201), Script.size(1),
            Script.answer(204),
        ])
        try await store.replace(.header, [9])
        #expect(
            Script.lines(transport) == [
                "PROPFIND ", "MKCOL staging/", "PUT staging/*", "PROPFIND staging/*", "MOVE staging/*",
            ])
        #expect(Script.header("overwrite", transport.requests.last) == "T")
    }

    @Test func `makes folders once, and learns two hundred from one list`() async throws {
        let (store, transport) = try Script.store(
            [Script.answer(404), Script.answer(409), Script.answer(201), Script.answer(201), Script.answer(201)]
                + [
                    Script.answer(201), Script.answer(201), Script.size(1), Script.answer(404), Script.answer(201),
                    Script.answer(200, "\u{1}"),
                ]
                + [Script.answer(201), Script.size(1), Script.answer(404), Script.answer(201)]
                + [Script.answer(200, "\u{1}")]
                + [Script.answer(201), Script.list([("packs/", Script.folder), ("packs/ab/", Script.folder)])]
                + [Script.answer(201), Script.size(1), Script.answer(201)], address: "webdav:https://h/q/p")
        try await store.create(.keyring(number: 1, copy: .a), [1])
        try await store.create(.keyring(number: 1, copy: .b), [1])
        try await store.create(.pack(`Every store`.id(0xab)), [1])
        let made = transport.requests.filter { $0.method == "MKCOL" }.map(\.url)
        #expect(
            made == ["q/p/", "q/", "q/p/", "q/p/staging/", "q/p/keyring/", "q/p/packs/"].map { "https://h/\($0)" })
    }

    @Test func `finds a folder that somebody else makes at the same moment`() async throws {
        let (store, transport) = try Script.store(
            [Script.list([("", Script.folder), ("keyring/", Script.folder)])]
                + [Script.answer(403), Script.list([("staging/", Script.folder)])]
                + [Script.answer(403), Script.answer(404)])
        await #expect(throws: ObjectStoreError.denied("\(Self.path) (status 403)")) {
            try await store.create(Script.name, [1])
        }
        #expect(
            Script.lines(transport).suffix(4)
                == ["MKCOL staging/", "PROPFIND staging/", "MKCOL index/", "PROPFIND index/"])
    }

    @Test func `of a name that others create too is read again`() async throws {
        func answers(_ found: String) -> [WebDAVScript.Answer] {
            [Script.list([("", Script.folder)]), Script.answer(405), Script.answer(201), Script.size(1)]
                + [Script.answer(404), Script.answer(201), Script.answer(200, found), Script.answer(404)]
        }
        try await Script.store(answers("\u{1}")).store.create(.header, [1])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) {
            try await Script.store(answers("\u{2}")).store.create(.header, [1])
        }
        // The server need not pay heed to what a move may not do.
        let taken = [Script.list([("", Script.folder)]), Script.answer(405), Script.answer(201), Script.size(1)]
        let (store, transport) = try Script.store(taken + [Script.size(1), Script.answer(204)])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) { try await store.create(.header, [1]) }
        #expect(Script.lines(transport).suffix(2) == ["PROPFIND coffer.json", "DELETE staging/*"])
    }

    @Test func `does not go where the store is gone`() async throws {
        for answers in [[Script.list([("", Script.folder)])], [Script.answer(404), Script.above("q/")]] {
            let (store, transport) = try Script.store(answers + [Script.answer(201)])
            await #expect(throws: ObjectStoreError.failed("the backup's folder is not there any more")) {
                try await store.create(Script.name, [1])
            }
            #expect(transport.requests.count == answers.count)
        }
    }

    @Test func `is not said to be missing where no folder can be made`() async throws {
        let missing = [WebDAVScript.Answer](repeating: Script.answer(404), count: 9)
        let (store, transport) = try Script.store(missing, address: "webdav:https://h/wrong/p")
        await #expect(throws: ObjectStoreError.failed("no folder can be made at this address; check it")) {
            try await store.create(.keyring(number: 1, copy: .a), [1])
        }
        #expect(transport.requests.map(\.method) == ["PROPFIND", "MKCOL", "MKCOL"])
    }

    @Test func `does not replace what is there, and leaves nothing`() async throws {
        for status in [412, 400] {
            let (store, transport) = try Script.store(
                Script.prepared
                    + [
                        Script.answer(201), Script.size(1), Script.answer(status), Script.size(1), Script.size(7),
                        Script.answer(204),
                    ])
            await #expect(throws: ObjectStoreError.exists(Self.path)) { try await store.create(Script.name, [1]) }
            #expect(
                Script.lines(transport).suffix(3) == [
                    "PROPFIND staging/*", "PROPFIND \(Self.path)", "DELETE staging/*",
                ])
        }
        // The same content is no reason to believe that it was ours, unless an answer was lost.
        let (store, _) = try Script.store(
            Script.prepared
                + [
                    Script.answer(201), Script.size(1), Script.answer(412), Script.size(1), Script.size(1),
                    Script.answer(204),
                ])
        await #expect(throws: ObjectStoreError.exists(Self.path)) { try await store.create(Script.name, [1]) }
    }

    @Test func `is recognised when the answer to its move was lost`() async throws {
        // What was staged is gone, and the name has it.
        for status in [404, 412] {
            let (store, _) = try Script.store(
                Script.prepared
                    + [
                        Script.answer(201), Script.size(1), Script.lost, Script.answer(status), Script.answer(404),
                        Script.size(1),
                    ])
            try await store.create(Script.name, [1])
        }
        // Copied, and not deleted yet.
        let (store, transport) = try Script.store(
            Script.prepared
                + [Script.answer(201), Script.size(1), Script.lost, Script.answer(412), Script.size(1), Script.size(1)]
                + [Script.answer(200, "\u{1}"), Script.answer(204)])
        try await store.create(Script.name, [1])
        #expect(Script.lines(transport).last == "DELETE staging/*")
        // Somebody else was there first.
        let (other, _) = try Script.store(
            Script.prepared
                + [Script.answer(201), Script.size(1), Script.lost, Script.answer(412), Script.size(1), Script.size(1)]
                + [Script.answer(200, "\u{2}"), Script.answer(204)])
        await #expect(throws: ObjectStoreError.exists(Self.path)) { try await other.create(Script.name, [1]) }
        // Somebody tidied up.
        let (gone, _) = try Script.store(
            Script.prepared + [
                Script.answer(201), Script.size(1), Script.answer(404), Script.answer(404), Script.answer(404),
            ])
        await #expect(
            throws: ObjectStoreError.failed("\(Self.path): what was uploaded was removed before it had its name")
        ) {
            try await gone.create(Script.name, [1])
        }
        // Refused the second time, since it is gone.
        let (refused, _) = try Script.store(
            Script.prepared
                + [Script.answer(201), Script.size(1), Script.lost, Script.answer(403), Script.answer(404)]
                + [Script.size(1)])
        try await refused.create(Script.name, [1])
        let failures = [WebDAVScript.Answer](repeating: Script.answer(500), count: 3)
        let (failing, _) = try Script.store(
            Script.prepared
                + [Script.answer(201), Script.size(1), Script.lost] + failures + [Script.answer(404), Script.size(1)])
        try await failing.create(Script.name, [1])
        // Not done at all.
        let (busy, asked) = try Script.store(
            Script.prepared
                + [Script.answer(201), Script.size(1), Script.lost] + failures
                + [Script.size(1), Script.answer(404), Script.answer(204)])
        await #expect(throws: ObjectStoreError.failed("\(Self.path): status 500")) {
            try await busy.create(Script.name, [1])
        }
        #expect(Script.lines(asked).last == "DELETE staging/*")
        // Done in part, it says: what is there is read.
        for found in ["\u{1}", "\u{2}"] {
            let (store, _) = try Script.store(
                Script.prepared
                    + [Script.answer(201), Script.size(1), Script.answer(207), Script.answer(404), Script.size(1)]
                    + [Script.answer(200, found)])
            let result = await Task { try await store.create(Script.name, [1]) }.result
            let isDone = (try? result.get()) != nil
            #expect(isDone == (found == "\u{1}"))
        }
    }

    @Test func `is not the header that was there before, if somebody tidied up`() async throws {
        func answers(_ found: String) -> [WebDAVScript.Answer] {
            [Script.list([("", Script.folder)]), Script.answer(405), Script.answer(201), Script.size(1)]
                + [Script.lost, Script.answer(404), Script.answer(404), Script.size(1), Script.answer(200, found)]
        }
        try await Script.store(answers("\u{1}")).store.replace(.header, [1])
        await #expect(
            throws: ObjectStoreError.failed("coffer.json: what was uploaded was removed before it had its name")
        ) {
            try await Script.store(answers("\u{2}")).store.replace(.header, [1])
        }
    }

    @Test func `that fails is deleted where the server answers`() async throws {
        let busy = [WebDAVScript.Answer](repeating: Script.answer(502), count: 4)
        let (moving, moved) = try Script.store(
            Script.prepared + [Script.answer(201), Script.size(1)] + busy
                + [Script.size(1), Script.answer(404), Script.answer(204)])
        await #expect(throws: ObjectStoreError.self) { try await moving.create(Script.name, [1]) }
        #expect(Script.lines(moved).last == "DELETE staging/*")
        #expect(moved.requests.last?.url == moved.requests[1].url)
        // Of four names one is asked about, and no more where that is refused too.
        let (sending, sent) = try Script.store(Script.prepared + busy + [Script.answer(503), Script.answer(204)])
        await #expect(throws: ObjectStoreError.self) { try await sending.create(Script.name, [1]) }
        #expect(sent.requests.map(\.method) == ["PROPFIND", "PUT", "PUT", "PUT", "PUT", "DELETE"])
        let (dead, asked) = try Script.store(
            Script.prepared + [Script.answer(201), Script.size(1)]
                + [WebDAVScript.Answer](repeating: Script.lost, count: 9))
        await #expect(throws: ObjectStoreError.self) { try await dead.create(Script.name, [1]) }
        #expect(asked.requests.last?.method == "MOVE")
    }

    @Test func `has another name each time that it is sent`() async throws {
        let (store, transport) = try Script.store(
            Script.prepared
                + [Script.lost, Script.answer(503), Script.answer(201), Script.answer(204), Script.answer(404)]
                + [Script.size(1), Script.answer(201)])
        try await store.create(Script.name, [1])
        let puts = transport.requests.filter { $0.method == "PUT" }.map(\.url)
        #expect(Set(puts).count == 3)
        #expect(transport.requests.filter { $0.method == "DELETE" }.map(\.url) == Array(puts.prefix(2)))
        #expect(transport.requests.last?.url == puts.last)
    }

    @Test func `is sent again where the server kept less of it`() async throws {
        let short = [Script.answer(201), Script.size(1), Script.answer(204)]
        let (store, transport) = try Script.store(
            Script.prepared + short + [Script.answer(201), Script.size(2), Script.answer(201)])
        try await store.create(Script.name, [1, 2])
        #expect(Script.lines(transport).filter { $0 == "DELETE staging/*" }.count == 1)
        let (full, _) = try Script.store(Script.prepared + short + short + short)
        await #expect(throws: ObjectStoreError.failed("\(Self.path): the server keeps 1 of 2 bytes; it may be full")) {
            try await full.create(Script.name, [1, 2])
        }
    }

    @Test func `finds its folder again after somebody took it away`() async throws {
        for status in [409, 404] {
            let (store, transport) = try Script.store(
                Script.prepared + [Script.answer(status)] + [
                    Script.list([("", Script.folder), ("coffer.json", Script.file(1))])
                ]
                    + [Script.answer(201), Script.answer(201), Script.answer(201), Script.size(1), Script.answer(201)])
            try await store.create(Script.name, [1])
            #expect(Script.lines(transport).filter { $0.hasPrefix("MKCOL") } == ["MKCOL staging/", "MKCOL index/"])
        }
    }
}

@Suite struct `What a server answers` {
    private typealias Script = WebDAVScript
    private static let path = Script.name.path

    @Test(arguments: [
        (401, ObjectStoreError.credentials("status 401")), (403, .denied("\(path) (status 403)")),
        (416, .truncated(path)), (507, .full), (418, .failed("\(path): status 418")),
        (204, .failed("\(path): status 204")),
        (405, .failed("what is there does not know GET, as WebDAV does (status 405); check the address")),
        (501, .failed("what is there does not know GET, as WebDAV does (status 501); check the address")),
        (413, .failed("\(path): the server takes no files of this size (status 413); its limit must be raised")),
    ])
    func `is said at once where another try would not help`(_ status: Int, _ error: ObjectStoreError) async throws {
        let (store, transport) = try Script.store([Script.answer(status), Script.answer(200, "abc")])
        await #expect(throws: error) { _ = try await store.read(Script.name) }
        #expect(transport.requests.count == 1)
    }

    @Test(arguments: [408, 423, 425, 429, 500, 502, 503, 504])
    func `is asked for again where it may go well`(_ status: Int) async throws {
        let clock = StandingClock()
        let failure = Script.answer(status, "", [("Retry-After", "7")])
        let (store, transport) = try Script.store([failure, failure, Script.answer(200, "abc")], clock: clock)
        #expect(try await store.read(Script.name) == Array("abc".utf8))
        #expect(transport.requests.count == 3)
        #expect(clock.now == 14_000_000_000)
        let (never, given) = try Script.store([failure, failure, failure, failure, Script.answer(200)])
        await #expect(throws: ObjectStoreError.self) { _ = try await never.read(Script.name) }
        #expect(given.requests.count == 4)
    }

    @Test func `is no WebDAV where a web page comes`() async throws {
        for answer in [Script.answer(200, "<html><body>Welcome</body></html>"), Script.answer(405), Script.answer(501)]
        {
            let (store, _) = try Script.store([answer])
            await #expect { _ = try await store.list(.index) } throws: { error in
                if case ObjectStoreError.failed(let words) = error {
                    words.contains("check the address")
                } else {
                    false
                }
            }
        }
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `sends nobody elsewhere without a person's knowing`(_ status: Int) async throws {
        func words(_ location: String?) async throws -> String {
            let (store, transport) = try Script.store(
                [Script.answer(status, "", location.map { [("Location", $0)] } ?? []), Script.answer(200, "abc")])
            defer { #expect(transport.requests.count == 1) }
            do { _ = try await store.read(Script.name) } catch {
                if case .failed(let words) = error { return words }
            }
            return ""
        }
        #expect(
            try await words("https://new.example/dav/p/\(Self.path)")
                == "the server sends us elsewhere (status \(status)): to https://new.example/dav/p. If that is right, "
                + "name the store webdav:https://new.example/dav/p, and sign in there")
        #expect(
            try await words("https://new.example/login").hasSuffix(
                "name the store webdav:https://new.example/login, and sign in there"))
        #expect(
            try await words("http://new.example/dav/p/\(Self.path)").hasSuffix(
                "to http://new.example/dav/p, which is not encrypted. Nothing was sent there"))
        for bad in [
            nil, "https://me:secret@h/", "/relative", "https://h/\u{1b}[2J", "https://h/?token=x", "javascript:x",
        ] {
            #expect(try await words(bad).hasSuffix("and not where to"))
        }
    }

    @Test func `gives a part, whatever of it the server gives`() async throws {
        func read(_ range: Range<Int>, _ answer: WebDAVScript.Answer) async throws -> String {
            String(decoding: try await Script.store([answer]).store.read(Script.name, range), as: UTF8.self)
        }
        #expect(try await read(2..<5, Script.answer(206, "234", [("Content-Range", "bytes 2-4/10")])) == "234")
        #expect(try await read(2..<5, Script.answer(200, "0123456789")) == "234")
        await #expect(throws: ObjectStoreError.truncated(Self.path)) {
            _ = try await read(2..<12, Script.answer(200, "0123456789"))
        }
        await #expect(throws: ObjectStoreError.self) { _ = try await read(2..<5, Script.answer(206, "234")) }
    }

    @Test func `has no secret in its errors`() async throws {
        let (store, _) = try Script.store([
            Script.answer(
                401, "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl Circle of Life",
                [("WWW-Authenticate", "Basic realm=\"Circle of Life\"")])
        ])
        await #expect {
            _ = try await store.read(Script.name)
        } throws: { error in
            !"\(error)".contains("Circle") && !"\(error)".contains("TXV")
        }
        let credentials = WebDAVCredentials(
            user: "Mufasa", password: SecretBytes(copying: Array("Circle of Life".utf8)))
        #expect(!"\(credentials)".contains("Circle"))
    }
}

@Suite struct `A server's list of files` {
    private typealias Script = WebDAVScript
    static let id = `Every store`.id(0xab)

    /// Of files named `index/ID`, as servers write it.
    @Test(arguments: [
        // Apache
        """
        <?xml version="1.0" encoding="utf-8"?>
        <D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
        <D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/"><D:href>/p/index/</D:href>
        <D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
        <D:propstat><D:prop><g0:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>
        <D:response><D:href>/p/index/ID</D:href><D:propstat><D:prop><lp1:resourcetype/></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
        </D:multistatus>
        """,
        // A default namespace, whole URLs, escapes without need, an order of its own, foreign files.
        """
        <multistatus xmlns="DAV:"><response><href> http://inside:81/x/p/index/%49%44 </href><propstat><prop><resourcetype/></prop></propstat></response>
        <response><href>http://inside:81/x/p/index/notes%20%26%20more.txt</href><propstat><prop/></propstat></response>
        <response><href>http://inside:81/x/p/index</href><propstat><prop><resourcetype><collection/></resourcetype></prop></propstat></response>
        <response><href>/p/index/gone</href><status>HTTP/1.1 404 Not Found</status></response>
        <responsedescription>words</responsedescription></multistatus>
        """,
        // Nextcloud
        """
        <?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns"><d:response>\
        <d:href>/p/index/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop><d:status>HTTP/1.1 200 OK</d:status>\
        </d:propstat></d:response><d:response><d:href>/p/index/ID</d:href><d:propstat><d:prop><d:resourcetype/></d:prop>\
        <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>
        """,
    ])
    func `is read however it is written`(_ text: String) async throws {
        let plain = Self.id.hex
        let escaped = plain.utf8.map { "%" + Hex.encode([$0]) }.joined()
        let body = text.replacing("%49%44", with: escaped).replacing("/ID<", with: "/\(plain)<")
        let (store, transport) = try Script.store([Script.answer(207, body)])
        #expect(try await store.list(.index) == [.index(Self.id)])
        #expect(Script.header("depth", transport.requests.first) == "1")
        #expect(transport.requests.first?.url == "https://h/p/index/")
    }

    @Test(arguments: [
        "", "<html/>", "<d:multistatus xmlns:d=\"DAV:\"/>", "<d:multistatus><d:response><d:href>/p/index/</d:href>",
        "<m:multistatus><m:response><m:status>HTTP/1.1 200 OK</m:status></m:response></m:multistatus>",
        "<multistatus><response><href>/p/index/</href><propstat/></response><response><href>/p/index/x</href><status>HTTP/1.1 500 x</status></response></multistatus>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><multistatus><response><href>&a;</href></response></multistatus>",
        "<multistatus><response><href>/p/%zz</href></response></multistatus>",
    ])
    func `is no list if anything may be missing`(_ body: String) async throws {
        let (store, _) = try Script.store([Script.answer(207, body)])
        await #expect { _ = try await store.list(.index) } throws: { error in
            if case ObjectStoreError.failed = error { true } else { false }
        }
    }

    @Test func `goes through the folders of packs, and fails as a whole`() async throws {
        let packs = Script.list([
            ("packs/", Script.folder), ("packs/ab/", Script.folder), ("packs/readme", Script.file(1)),
            ("packs/other/", Script.folder),
        ])
        let inner = Script.list([
            ("packs/ab/", Script.folder), ("packs/ab/\(Self.id.hex)", Script.file(1)),
            ("packs/ab/\(`Every store`.id(1).hex)", Script.file(1)),
        ])
        let (store, _) = try Script.store([packs, inner])
        #expect(try await store.list(.packs) == [.pack(Self.id)])
        // Gone meanwhile.
        let root = Script.list([("", Script.folder), ("packs/", Script.folder)])
        let (gone, _) = try Script.store([packs, Script.answer(404), root, Script.list([("packs/", Script.folder)])])
        #expect(try await gone.list(.packs) == [])
        let (failing, _) = try Script.store([packs, Script.answer(403)])
        await #expect(throws: ObjectStoreError.denied("packs/ab/ (status 403)")) { _ = try await failing.list(.packs) }
    }

    @Test func `may be long, and takes no more memory than that`() async throws {
        let names = (0..<10_000).map { number in
            Hex.encode([UInt8](repeating: 0, count: 12) + withUnsafeBytes(of: UInt32(number)) { Array($0) })
        }
        let list = Script.list([("index/", Script.folder)] + names.map { ("index/\($0)", "<d:resourcetype/>") })
        let (store, transport) = try Script.store([list, Script.size(1), Script.answer(207), Script.answer(207)])
        #expect(Set(try await store.list(.index).map(\.path)) == Set(names.map { "index/\($0)" }))
        _ = try await store.size(of: Script.name)
        #expect(transport.requests.map(\.answerBytesMax) == [32 << 20, 1 << 20])
        // Nobody says so much of one file.
        for text in [String(repeating: "a", count: 70_000), "&" + String(repeating: "a", count: 20) + ";"] {
            let body = "<multistatus><response><href>/p/index/\(text)</href><propstat/></response></multistatus>"
            await #expect(throws: ObjectStoreError.failed("index/: its list of files cannot be read")) {
                _ = try await Script.store([Script.answer(207, body)]).store.list(.index)
            }
        }
        let tag = String(repeating: "a:", count: 5_000)
        await #expect(throws: ObjectStoreError.self) {
            let body = "<\(tag)multistatus><response><href>/p/index/</href><propstat/></response></multistatus>"
            _ = try await Script.store([Script.answer(207, body)]).store.list(.index)
        }
    }

    @Test func `fails as a whole where one file is not told`() async throws {
        let body =
            "<multistatus><response><href>/p/index/</href><propstat/></response>"
            + "<response><href>/p/index/x</href><status>HTTP/1.1 507 Insufficient Storage</status></response></multistatus>"
        await #expect(
            throws: ObjectStoreError.failed("index/: its list of files leaves something out (status 507)")
        ) {
            _ = try await Script.store([Script.answer(207, body)]).store.list(.index)
        }
    }

    @Test func `says nothing of a deletion that was done in part`() async throws {
        let (store, transport) = try Script.store([Script.answer(207), Script.answer(204)])
        await #expect(throws: ObjectStoreError.failed("\(Script.name.path): DELETE was done in part (status 207)")) {
            try await store.delete(Script.name)
        }
        #expect(transport.requests.count == 1)
    }

    @Test func `tells of one file, also where all of its folder comes`() async throws {
        let more = Script.list([
            ("index/", Script.folder), ("index/\(Self.id.hex)", Script.file(4)),
            ("index/\(`Every store`.id(1).hex)", Script.file(7)),
        ])
        #expect(try await Script.store([more]).store.size(of: Script.name) == 7)
    }

    @Test func `is asked for as much of an answer as an object has`() async throws {
        let (store, transport) = try Script.store((0..<5).map { _ in Script.answer(200, "abc") })
        for name in [.keyring(number: 1, copy: .a), .pack(Self.id), Script.name] { _ = try await store.read(name) }
        _ = try await store.read(Script.name, 0..<2)
        _ = try? await store.read(.header)
        let most = transport.requests.map(\.answerBytesMax)
        #expect(most[0] == 1 << 20 && most[4] == 1 << 20)
        #expect(most[1] < 17 << 20 && most[1] > packBytesMax && most[3] == most[1])
        #expect(most[2] == 64 << 20)
    }

    @Test func `says sizes, and what is a folder is no object`() async throws {
        #expect(try await Script.store([Script.size(7)]).store.size(of: Script.name) == 7)
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await Script.store([Script.list([("index/x/", Script.folder)])]).store.size(of: Script.name)
        }
        for size in ["", "-1", "x", "99999999999999999999"] {
            let answer = Script.list([("x", "<d:getcontentlength>\(size)</d:getcontentlength>")])
            await #expect(throws: ObjectStoreError.failed("\(Script.name.path): its size is not said")) {
                _ = try await Script.store([answer]).store.size(of: Script.name)
            }
        }
    }

    @Test func `is asked whether there is a store where the header is missing`() async throws {
        // Replaced by deleting and renaming: it is there a moment later; or so much of it as the old one had.
        let others = Script.list([("", Script.folder), ("keyring/", Script.folder)])
        for between in [Script.prepared, [others]] {
            let (store, transport) = try Script.store(
                [Script.answer(404)] + between + [Script.answer(200, "ab"), Script.size(3)]
                    + [Script.answer(200, "abc"), Script.size(3)])
            #expect(try await store.read(.header) == Array("abc".utf8))
            #expect(transport.requests.count == 6)
        }
        for nothing in [[Script.answer(404), Script.above()], [Script.list([("", Script.folder)])]] {
            let (new, asked) = try Script.store([Script.answer(404)] + nothing)
            await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await new.read(.header) }
            #expect(asked.requests.count == 1 + nothing.count)
        }
        // Others' files: five looks.
        let (none, looks) = try Script.store((0..<9).flatMap { _ in [Script.answer(404), others] })
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await none.read(.header) }
        #expect(looks.requests.count == 10)
        // Its size is another one each time: it is there.
        let (cut, _) = try Script.store((0..<9).flatMap { _ in [Script.answer(200, "ab"), Script.size(3)] })
        await #expect(throws: ObjectStoreError.failed("coffer.json: its size is told differently each time")) {
            _ = try await cut.read(.header)
        }
    }

    @Test func `says how much room there is, where it does`() async throws {
        func free(_ value: String) -> WebDAVScript.Answer {
            Script.list([("", "<d:quota-available-bytes>\(value)</d:quota-available-bytes>")])
        }
        #expect(try await Script.store([free("123456789012")]).store.freeBytes() == 123_456_789_012)
        #expect(try await Script.store([free("-3")]).store.freeBytes() == nil)
        #expect(try await Script.store([free("")]).store.freeBytes() == nil)
        let (store, transport) = try Script.store([Script.answer(404), free("5")], address: "webdav:https://h/a/b")
        #expect(await store.freeBytes() == 5)
        #expect(transport.requests.map(\.url) == ["https://h/a/b/", "https://h/a/"])
        #expect(try await Script.store([Script.answer(403), free("5")]).store.freeBytes() == nil)
    }

    @Test func `tells what was given up, by the server's own clock`() async throws {
        let name = String(repeating: "0a", count: 16)
        func date(_ seconds: UInt64) -> String {
            let formatter = DateFormatter()
            formatter.locale = Locale(identifier: "en_US_POSIX")
            formatter.timeZone = TimeZone(identifier: "UTC")
            formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            return formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
        }
        // Its clock is a day behind.
        let server = Script.now - 86_400
        func staging(_ modified: UInt64?) -> WebDAVScript.Answer {
            let told = modified.map { "<d:getlastmodified>\(date($0))</d:getlastmodified>" } ?? ""
            return Script.list(
                [
                    ("staging/", Script.folder), ("staging/\(name)", Script.file(9) + told),
                    ("staging/notes.txt", Script.file(7) + told),
                ], [("Date", date(server))])
        }
        let before = Script.now - 1_000
        let (store, transport) = try Script.store([staging(server - 1_001), Script.answer(204)])
        #expect(try await store.abandoned(before: before, removing: true) == 9)
        #expect(Script.lines(transport) == ["PROPFIND staging/", "DELETE staging/*"])
        #expect(try await Script.store([staging(server - 1_001)]).store.abandoned(before: before, removing: false) == 9)
        #expect(try await Script.store([staging(server - 999)]).store.abandoned(before: before, removing: true) == 0)
        // lighttpd's lists have no dates.
        let head = Script.answer(200, "", [("Last-Modified", date(server - 2_000))])
        #expect(try await Script.store([staging(nil), head]).store.abandoned(before: before, removing: false) == 9)
        #expect(
            try await Script.store([staging(nil), Script.answer(200)]).store.abandoned(before: before, removing: true)
                == 0)
        #expect(
            try await Script.store([staging(nil), Script.answer(200), Script.answer(204)]).store.abandoned(
                before: .max, removing: true) == 9)
        let none = [Script.answer(404), Script.list([("", Script.folder)])]
        #expect(try await Script.store(none).store.abandoned(before: .max, removing: true) == 0)
    }

    @Test func `is looked at before a folder is removed with all that is in it`() async throws {
        let full = Script.list([("packs/", Script.folder), ("packs/somebody's", Script.file(1))])
        func empty(_ path: String) -> WebDAVScript.Answer { Script.list([(path, Script.folder)]) }
        let (store, transport) = try Script.store(
            [full, Script.answer(404), full, empty("index/"), Script.answer(204)]
                + [Script.answer(404), Script.answer(404), empty("staging/"), Script.answer(204), full])
        await store.removeFolders()
        #expect(Script.lines(transport).filter { $0.hasPrefix("DELETE") } == ["DELETE index/", "DELETE staging/"])
    }

    @Test func `is not taken for empty where the server leaves the folder itself out`() async throws {
        let one = Script.list([("packs/", Script.folder)])
        let (store, transport) = try Script.store(
            [one] + (0..<6).map { _ in Script.answer(404) } + [one, Script.answer(204)])
        await store.removeFolders()
        #expect(transport.requests.count == 8)
        #expect(!transport.requests.contains { $0.method == "DELETE" })
    }

    @Test func `is not what lies in it, though it has the same name`() async throws {
        func root(_ more: String) -> WebDAVScript.Answer {
            let folder = "<prop><resourcetype><collection/></resourcetype></prop>"
            return Script.answer(
                207,
                "<multistatus><response><href>/\(more)/</href><propstat>\(folder)</propstat></response>"
                    + "<response><href>/\(more)/coffer.json</href><propstat/></response></multistatus>")
        }
        let (empty, asked) = try Script.store(
            [
                Script.answer(
                    207,
                    "<multistatus><response><href>/keyring/</href><propstat/></response></multistatus>")
            ], address: "webdav:https://h/keyring")
        await #expect(throws: ObjectStoreError.failed("the backup's folder is not there any more")) {
            try await empty.create(Script.name, [1])
        }
        #expect(asked.requests.count == 1)
        let (store, transport) = try Script.store(
            [root("index")] + [
                Script.answer(201), Script.answer(201), Script.answer(201), Script.size(1), Script.answer(201),
            ],
            address: "webdav:https://h/index")
        try await store.create(Script.name, [1])
        #expect(
            transport.requests.prefix(3).map { "\($0.method) \($0.url)" } == [
                "PROPFIND https://h/index/", "MKCOL https://h/index/staging/", "MKCOL https://h/index/index/",
            ])
    }

    @Test func `is removed with the folders above it that were made for it`() async throws {
        func empty(_ path: String) -> WebDAVScript.Answer { Script.list([(path, Script.folder)]) }
        let making = [
            Script.answer(404), Script.answer(409), Script.answer(409), Script.answer(405), Script.answer(201),
        ]
        let made = making + [Script.answer(201), Script.answer(201), Script.answer(507), Script.answer(404)]
        let used = Script.list([("a/", Script.folder), ("a/x", Script.file(1))])
        for (above, isEmpty) in [(empty("a/"), true), (used, false)] {
            let (store, transport) = try Script.store(
                made + [Script.answer(404), Script.answer(404), Script.above("x/")]
                    + (0..<6).map { _ in Script.answer(404) } + [
                        empty(""), Script.answer(204), above, Script.answer(204),
                    ],
                address: "webdav:https://h/home/a/p")
            await #expect(throws: ObjectStoreError.full) { try await store.create(.header, [1]) }
            await store.removeFolders()
            // `home` was there.
            let removed = transport.requests.filter { $0.method == "DELETE" }.map(\.url).suffix(2)
            #expect(removed.contains("https://h/home/a/") == isEmpty)
            #expect(!removed.contains("https://h/home/"))
        }
    }
}

@Suite struct `A folder on a server as a store` {
    @Test(arguments: WebDAVServer.installed)
    func `on a bad line takes a whole backup, and gives it back`(_ server: WebDAVServer) async throws {
        let files = ["a": noise(3_000_000, seed: 1), "b/c": [1, 2, 3], "d": noise(70_000, seed: 2)]
        let wing = try await Wing(try server.store { FaultyTransport($0, seed: 3, busy: StoreAnswer(status: 423)) })
        try await wing.backUp(MemorySource(files))
        #expect(try await wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files == files)
    }

    @Test(arguments: WebDAVServer.installed)
    func `is rid of uploads that were given up`(_ server: WebDAVServer) async throws {
        let store = try server.store { LosingMoves($0) }
        await #expect(throws: ObjectStoreError.self) { try await store.create(.header, [1, 2, 3]) }
        #expect(try await store.abandoned(before: 1, removing: true) == 0)
        #expect(try await store.abandoned(before: .max, removing: false) == 3)
        #expect(try await store.abandoned(before: .max, removing: true) == 3)
        #expect(try await store.abandoned(before: .max, removing: false) == 0)
    }
}

/// A line that ends whenever something is to be moved.
private struct LosingMoves: StoreTransport {
    let transport: any StoreTransport
    init(_ transport: any StoreTransport) { self.transport = transport }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        if request.method == "MOVE" { throw .broken("no connection") }
        return try await transport.send(request)
    }
}
