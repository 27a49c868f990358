import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import TestSupport
import Testing

@Suite struct `The address of a folder in Google Drive` {
    @Test(arguments: [
        ("gdrive:Coffer", "gdrive:Coffer"), ("gdrive:my phone_2.old~", "gdrive:my phone_2.old~"),
        ("gdrive:a?", "gdrive:a"), ("gdrive:a?space=drive", "gdrive:a"),
        ("gdrive:a?space=appdata", "gdrive:a?space=appdata"),
    ])
    func `is one text for one place`(_ text: String, _ canonical: String) throws {
        #expect(try DriveAddress(text).text == canonical)
        #expect(try DriveAddress(canonical) == DriveAddress(text))
    }

    @Test(arguments: [
        ("Coffer", DriveAddress.Malformed.notAnAddress), ("gdrive:", .noFolder), ("gdrive:?space=appdata", .noFolder),
        ("gdrive:a/b", .badFolder), ("gdrive:..", .badFolder), ("gdrive: a", .badFolder), ("gdrive:a'b", .badFolder),
        ("gdrive:a\\b", .badFolder), ("gdrive:ä", .badFolder), ("gdrive:a\nb", .badFolder),
        ("gdrive:me@host", .badFolder),
        ("gdrive:" + String(repeating: "a", count: 101), .badFolder), ("gdrive:a?space=other", .unknownOption("space")),
        ("gdrive:a?space", .unknownOption("space")), ("gdrive:a?token=secret", .unknownOption("token")),
    ])
    func `is refused where it could mean something else`(_ text: String, _ error: DriveAddress.Malformed) {
        #expect(throws: error) { _ = try DriveAddress(text) }
    }

    @Test func `lies with Google, or for tests on this machine, and nowhere else`() throws {
        #expect(try GoogleEndpoints(onThisMachine: "http://127.0.0.1:80").token == "http://127.0.0.1:80/token")
        for text in [
            "", "http://127.0.0.1", "http://127.0.0.1:", "http://127.0.0.1:0", "http://127.0.0.1:99999",
            "http://127.0.0.1:80/x",
            "http://127.0.0.1:80@evil.org", "http://127.0.0.1:+80", "http://localhost:80", "https://evil.org",
            "http://127.0.0.1.evil.org:80", "http://127.0.0.2:80",
        ] {
            #expect(throws: GoogleEndpoints.Malformed.notThisMachine) { _ = try GoogleEndpoints(onThisMachine: text) }
        }
    }
}

/// A store whose transport a test plays. Its folder `F` is known from an earlier run, and found.
struct ScriptedDrive {
    typealias Answer = Result<StoreAnswer, StoreTransportError>

    static let now: UInt64 = 1_800_000_000
    static let name = ObjectName.index(`Every store`.id(1))
    static let folder = json(200, #"{"id": "F", "mimeType": "application/vnd.google-apps.folder"}"#)
    static let ids = json(200, #"{"ids": ["I"]}"#)
    static let none = json(200, #"{"files": []}"#)

    let store: DriveStore
    let transport: ScriptedTransport
    let clock: StandingClock
    let notes: MemoryNotes

    init(
        _ answers: [Answer], tokens: [Answer]? = nil, triesMax: Int = 4, knowsFolder: Bool = true,
        notes kept: String? = nil
    ) throws {
        let known = knowsFolder ? #"{"folder": "F", "writes": []}"# : nil
        (clock, notes) = (StandingClock(), MemoryNotes(kept ?? known))
        transport = ScriptedTransport((knowsFolder ? [Self.folder] : []) + answers)
        let clock = clock
        let backoff = Backoff(triesMax: triesMax, triesMaxUnanswered: 2, clock: clock.waiting, dice: { $0 })
        let sent = ScriptedTransport(tokens ?? (0..<20).map { Self.token("token-\($0)") })
        store = DriveStore(
            try DriveAddress("gdrive:Chats"),
            DriveClient(
                try Self.tokens(Attempts(transport: sent, backoff: backoff)),
                Attempts(transport: transport, backoff: backoff),
                clock: clock.waiting),
            notes: notes, backoff: backoff, now: { Self.now })
    }

    static func tokens(
        _ attempts: Attempts, now: @escaping @Sendable () -> UInt64 = { Self.now },
        keep: @escaping @Sendable (GoogleGrant) -> Bool = { _ in true }
    ) throws -> GoogleTokens {
        GoogleTokens(try grant(), GoogleOAuth(.google, attempts), now: now, keep: keep)
    }

    static func grant() throws -> GoogleGrant {
        let client = try #require(GoogleClient(id: "id.apps.googleusercontent.com", secret: secret("client-secret")))
        return GoogleGrant(client: client, refreshToken: secret("refresh-token"))
    }

    static func secret(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }

    /// What was asked, after the folder: method, and path with query.
    var asked: [String] {
        transport.requests.map {
            "\($0.method) \($0.url.replacing("https://www.googleapis.com", with: "").prefix { $0 != "?" })"
        }.filter { $0 != "GET /drive/v3/files/F" }
    }

    static func header(_ name: String, _ request: StoreRequest?) -> String? {
        request?.headers.first { $0.name == name }?.value
    }

    static func json(_ status: Int, _ text: String, _ headers: [(name: String, value: String)] = []) -> Answer {
        .success(StoreAnswer(status: status, headers: headers, body: Array(text.utf8)))
    }

    static func error(_ status: Int, _ reason: String, _ headers: [(name: String, value: String)] = []) -> Answer {
        json(status, #"{"error": {"errors": [{"reason": "\#(reason)", "message": "m"}], "code": \#(status)}}"#, headers)
    }

    static func token(_ text: String, _ more: String = "", seconds: Int = 3_599) -> Answer {
        json(200, #"{"access_token": "\#(text)", "expires_in": \#(seconds), "token_type": "Bearer"\#(more)}"#)
    }

    static func file(
        _ id: String, _ content: [UInt8], name: String = name.path, created: String = "2026-11-22T10:00:00.000Z"
    ) -> String {
        #"{"id": "\#(id)", "name": "\#(name)", "size": "\#(content.count)", "sha256Checksum": "\#(Hex.encode(sha256(content)))", "#
            + #""createdTime": "\#(created)", "trashed": false}"#
    }

    static func files(_ files: [String], _ more: String = "") -> Answer {
        json(200, #"{"files": [\#(files.joined(separator: ","))]\#(more)}"#)
    }
}

@Suite struct `A client of Google Drive` {
    typealias Script = ScriptedDrive

    @Test(arguments: [
        (403, "rateLimitExceeded"), (403, "userRateLimitExceeded"), (403, "sharingRateLimitExceeded"), (429, "x"),
        (500, "internalError"), (503, "backendError"), (502, ""), (504, ""), (408, ""),
        // Nobody who says so without Drive's own word knows of the file.
        (404, ""), (410, ""), (404, "x"), (410, "gone"),
    ])
    func `tries again what may go well`(_ status: Int, _ reason: String) async throws {
        let busy = Script.error(status, reason)
        let found = Script.files([Script.file("A", [1])])
        let drive = try Script([found, busy, busy, busy, Script.json(200, "abc")])
        #expect(try await drive.store.read(Script.name) == Array("abc".utf8))
        #expect(drive.transport.requests.count == 6)
        let never = try Script([found, busy, busy, busy, busy, Script.json(200, "abc")])
        await #expect(throws: ObjectStoreError.self) { _ = try await never.store.read(Script.name) }
        #expect(never.transport.requests.count == 6)
    }

    @Test(arguments: [
        (403, "storageQuotaExceeded", "full"), (403, "teamDriveFileLimitExceeded", "full"),
        (403, "dailyLimitExceeded", "dailyLimit"), (403, "quotaExceeded", "dailyLimit"),
        (403, "numChildrenInNonRootLimitExceeded", "another folder"),
        (403, "activeItemCreationLimitExceeded", "delete some"),
        (403, "insufficientPermissions", "credentials"), (403, "insufficientScopes", "credentials"),
        (403, "appNotAuthorizedToFile", "denied"), (403, "insufficientFilePermissions", "denied"),
        (403, "other", "denied"),
        (403, "domainPolicy", "administrator"), (403, "accessNotConfigured", "switched on"),
        (400, "badRequest", "status 400, badRequest"), (416, "", "truncated"), (302, "", "status 302"),
    ])
    func `says at once what will not`(_ status: Int, _ reason: String, _ words: String) async throws {
        let drive = try Script([Script.files([Script.file("A", [1])]), Script.error(status, reason)])
        await #expect { _ = try await drive.store.read(Script.name, 0..<9) } throws: { "\($0)".contains(words) }
        #expect(drive.transport.requests.count == 3)
    }

    static let gone = Script.error(404, "notFound")

    @Test func `believes that a file is gone when its folder answers and it is said again, and searched for twice`()
        async throws
    {
        let found = Script.files([Script.file("A", [1])])
        let drive = try Script([found, Self.gone, Self.gone, Script.folder, Script.none])
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await drive.store.read(Script.name)
        }
        #expect(drive.transport.requests.count == 6)
        #expect(drive.clock.now > 0)
        let there = Script.json(200, Script.file("A", [1]))
        let stray = try Script([found, Self.gone, there, Script.json(200, "abc")])
        #expect(try await stray.store.read(Script.name) == Array("abc".utf8))
        let odd = try Script([found] + (0..<9).flatMap { _ in [Self.gone, there] })
        await #expect { _ = try await odd.store.read(Script.name) } throws: { "\($0)".hasPrefix("failed") }
        let folder = try Script([found, Self.gone, Self.gone, Self.gone])
        await #expect(throws: ObjectStoreError.failed("its folder in Google Drive is not there any more")) {
            _ = try await folder.store.read(Script.name)
        }
        // A search forgets it once.
        let forgotten = try Script([Script.none, found, Script.json(200, "abc")])
        #expect(try await forgotten.store.read(Script.name) == Array("abc".utf8))
        let deleted = try Script([found, Self.gone, there, Script.json(204, "")])
        try await deleted.store.delete(Script.name)
        #expect(
            deleted.asked.suffix(3) == [
                "DELETE /drive/v3/files/A", "GET /drive/v3/files/A", "DELETE /drive/v3/files/A",
            ])
    }

    @Test func `says of a file in the trash where it is`() async throws {
        let trashed = Script.file("A", [1]).replacing(#""trashed": false"#, with: #""trashed": true"#)
        let drive = try Script([Script.none, Script.files([trashed])])
        await #expect { _ = try await drive.store.size(of: Script.name) } throws: {
            "\($0)".contains("trash: restore it")
        }
        let query = drive.transport.requests.last?.url ?? ""
        #expect(query.contains("parents") && !query.contains("trashed%20"))
    }

    @Test func `asks by their ids for files that a later list lacks`() async throws {
        let (one, two) = (ObjectName.index(`Every store`.id(1)), ObjectName.index(`Every store`.id(2)))
        let files = [Script.file("A", [1], name: one.path), Script.file("B", [1], name: two.path)]
        let half = Script.files([files[0]])
        let drive = try Script([
            Script.files(files), half, half, Script.json(200, files[1]), half, Script.files(files), half, half,
            Self.gone,
        ])
        for expected: Set<ObjectName> in [[one, two], [one, two], [one, two], [one]] {
            #expect(Set(try await drive.store.list(.index)) == expected)
        }
    }

    @Test func `takes a folder without files for empty where it is there`() async throws {
        #expect(try await Script([Script.none, Script.folder]).store.list(.packs) == [])
        let gone = try Script([Script.none, Self.gone])
        await #expect { _ = try await gone.store.list(.packs) } throws: { "\($0)".contains("not there any more") }
    }

    @Test func `takes no more into memory than an object has, and no list without an end`() async throws {
        let drive = try Script([Script.files([Script.file("A", [1], name: "coffer.json")])])
        _ = try? await drive.store.read(.header)
        #expect(drive.transport.requests[2].answerBytesMax == 1 << 20)
        let endless = try Script((0..<3_000).map { Script.files([], #", "nextPageToken": "t\#($0)""#) })
        await #expect { _ = try await endless.store.list(.packs) } throws: { "\($0)".contains("longer than any") }
        #expect(endless.transport.requests.count < 2_500)
    }

    @Test func `asks again where less came than was asked for`() async throws {
        let cut = Script.json(206, "cd", [("Content-Range", "bytes 2-3/100")])
        let whole = Script.json(206, "cdef", [("Content-Range", "bytes 2-5/100")])
        let drive = try Script([Script.files([Script.file("A", [1])]), cut, whole])
        #expect(try await drive.store.read(Script.name, 2..<6) == Array("cdef".utf8))
    }

    @Test func `takes a folder whose name differs in case alone for another one`() async throws {
        let folder = #"{"id": "G", "name": "chats", "mimeType": "application/vnd.google-apps.folder"}"#
        let other = try Script([Script.files([folder]), Script.files([folder])], knowsFolder: false)
        #expect(try await other.store.list(.packs) == [])
        let own = folder.replacing("chats", with: "Chats")
        let drive = try Script(
            [Script.none, Script.files([folder, own]), Script.files([Script.file("A", [1])])], knowsFolder: false)
        #expect(try await drive.store.list(.index) == [Script.name])
        #expect(String(decoding: drive.notes.read() ?? [], as: UTF8.self).contains(#""folder":"G""#))
    }

    @Test func `repeats nothing of an answer but its reason`() async throws {
        for answer in [
            Script.error(403, "a secret <b>"), Script.json(403, #"{"error": {"message": "a secret"}}"#),
            Script.json(500, "a secret"), Script.json(403, #"{"error": "a secret"}"#),
        ] {
            let drive = try Script([Script.files([Script.file("A", [1])]), answer, answer, answer, answer])
            await #expect { _ = try await drive.store.read(Script.name) } throws: { !"\($0)".contains("a secret") }
        }
    }

    @Test func `renews its token once when it is refused`() async throws {
        let refused = Script.error(401, "authError")
        let drive = try Script([Script.files([Script.file("A", [1])]), refused, Script.json(200, "abc")])
        #expect(try await drive.store.read(Script.name) == Array("abc".utf8))
        #expect(
            drive.transport.requests.map { Script.header("authorization", $0) }
                == ["Bearer token-0", "Bearer token-0", "Bearer token-0", "Bearer token-1"])
        let never = try Script([Script.files([Script.file("A", [1])]), refused, refused, Script.json(200, "abc")])
        await #expect(throws: ObjectStoreError.credentials("status 401, authError")) {
            _ = try await never.store.read(Script.name)
        }
    }

    @Test func `insists where sealed bytes look harmful to Google`() async throws {
        let drive = try Script([
            Script.files([Script.file("A", [1])]), Script.error(403, "cannotDownloadAbusiveFile"),
            Script.json(200, "abc"),
        ])
        #expect(try await drive.store.read(Script.name) == Array("abc".utf8))
        #expect(drive.transport.requests.last?.url.hasSuffix("/files/A?alt=media&acknowledgeAbuse=true") == true)
    }

    @Test func `looks for a name as Drive's language writes it`() async throws {
        let drive = try Script([Script.none, Script.none])
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await drive.store.read(Script.name)
        }
        let url = drive.transport.requests[1].url
        let name = Script.name.path.replacing("/", with: "%2F")
        #expect(
            url.contains("q=name%20%3D%20%27\(name)%27%20and%20%27F%27%20in%20parents%20and%20trashed%20%3D%20false&"))
        #expect(url.contains("fields=nextPageToken%2CincompleteSearch%2Cfiles%28id%2C"))
    }

    @Test func `lists to the end, each once, and takes no half list for a whole one`() async throws {
        let (one, two) = (ObjectName.index(`Every store`.id(1)), ObjectName.index(`Every store`.id(2)))
        let first = [Script.file("A", [1], name: one.path), Script.file("X", [1], name: "index/readme")]
        let second = [Script.file("A", [1], name: one.path), Script.file("B", [1], name: two.path)]
        let drive = try Script([
            Script.files(first, #", "nextPageToken": "t/1""#), Script.files([], #", "nextPageToken": "t2""#),
            Script.files(second),
        ])
        #expect(Set(try await drive.store.list(.index)) == [one, two])
        #expect(drive.transport.requests.last?.url.contains("pageToken=t2") == true)
        #expect(drive.transport.requests[2].url.contains("pageToken=t%2F1"))
        let again = try Script([
            Script.files(first, #", "incompleteSearch": true"#), Script.files(first, #", "nextPageToken": "t""#),
            Script.error(400, "invalid"), Script.files(second),
        ])
        #expect(Set(try await again.store.list(.index)) == [one, two])
        let incomplete = Script.files(first, #", "incompleteSearch": true"#)
        for (answers, words) in [
            ([incomplete, incomplete, incomplete, Script.files(second)], "not complete"),
            (
                [
                    Script.files(first, #", "nextPageToken": "t""#), Script.files(first, #", "nextPageToken": "t""#),
                    Script.files(second),
                ], "repeats itself"
            ),
            ([Script.json(200, "<html>"), Script.files(second)], "not of the form"),
            ([Script.json(200, "{}"), Script.files(second)], "not of the form"),
        ] {
            let drive = try Script(answers)
            await #expect { _ = try await drive.store.list(.index) } throws: { "\($0)".contains(words) }
        }
    }

    @Test func `says that the folder is gone, and finds nothing lost for that`() async throws {
        let drive = try Script([Script.error(404, "notFound"), Script.error(404, "notFound")])
        let gone = "its folder in Google Drive is not there any more"
        await #expect(throws: ObjectStoreError.failed(gone)) { _ = try await drive.store.list(.packs) }
        await #expect(throws: ObjectStoreError.failed(gone)) { _ = try await drive.store.read(Script.name) }
    }

    @Test func `takes the earliest of several, and the next where one is gone`() async throws {
        let files = [
            Script.file("B", [2], created: "2026-11-22T10:00:01.000Z"), Script.file("C", [3]), Script.file("A", [1]),
        ]
        let drive = try Script([Script.files(files), Self.gone, Self.gone, Script.folder, Script.json(200, "abc")])
        #expect(try await drive.store.read(Script.name) == Array("abc".utf8))
        #expect(drive.asked.suffix(2) == ["GET /drive/v3/files/A", "GET /drive/v3/files/C"])
    }
}

@Suite struct `A new file in Google Drive` {
    typealias Script = ScriptedDrive
    static let small: [UInt8] = [1, 2, 3]
    static let large = noise((5 << 20) + 1, seed: 1)

    @Test func `has an id before it is sent, which this device remembers`() async throws {
        let drive = try Script([Script.none, Script.ids, Script.json(200, Script.file("I", Self.small))])
        try await drive.store.create(Script.name, Self.small)
        #expect(
            drive.asked == ["GET /drive/v3/files", "GET /drive/v3/files/generateIds", "POST /upload/drive/v3/files"])
        let body = drive.transport.requests.last.map { request in
            if case .bytes(let bytes) = request.body { String(decoding: bytes, as: UTF8.self) } else { "" }
        }
        #expect(
            body?.contains(
                #"{"id":"I","mimeType":"application/octet-stream","name":"\#(Script.name.path)","parents":["F"]}"#)
                == true)
        let notes = String(decoding: drive.notes.read() ?? [], as: UTF8.self)
        #expect(notes.contains(#""id":"I""#) && notes.contains(#""state":"there""#))
    }

    @Test func `is made once, though the answer was lost`() async throws {
        let drive = try Script([
            Script.none, Script.ids, .failure(.broken("the connection broke off")), Script.error(409, "fileIdInUse"),
            Script.json(200, Script.file("I", Self.small)),
        ])
        try await drive.store.create(Script.name, Self.small)
        #expect(drive.asked.suffix(1) == ["GET /drive/v3/files/I"])
        let other = try Script([
            Script.none, Script.ids, Script.error(409, "conflict"), Script.json(200, Script.file("I", [9])),
        ])
        await #expect(throws: ObjectStoreError.exists(Script.name.path)) {
            try await other.store.create(Script.name, Self.small)
        }
    }

    @Test func `that is not what was sent is no object`() async throws {
        for made in [Script.file("I", [1, 2, 4]), Script.file("I", [1, 2]), #"{"id": "I", "size": "3"}"#] {
            let drive = try Script([
                Script.none, Script.ids, Script.json(200, made), Script.json(200, made), Script.json(204, ""),
            ])
            await #expect { try await drive.store.create(Script.name, Self.small) } throws: {
                "\($0)".hasPrefix("failed")
            }
            #expect(drive.asked.last == "DELETE /drive/v3/files/I")
        }
    }

    @Test func `is not sent where the name is taken`() async throws {
        let drive = try Script([
            Script.files([Script.file("A", [1])]), Script.json(200, Script.file("A", [1])), Script.ids,
        ])
        await #expect(throws: ObjectStoreError.exists(Script.name.path)) {
            try await drive.store.create(Script.name, Self.small)
        }
        // Two devices may choose this name: the later one gives way.
        let keyring = ObjectName.keyring(number: 1, copy: .a)
        let (ours, theirs) = (
            Script.file("I", Self.small, name: keyring.path, created: "2026-11-22T10:00:01.000Z"),
            Script.file("A", [9], name: keyring.path)
        )
        let late = try Script([
            Script.none, Script.none, Script.ids, Script.json(200, ours), Script.files([theirs]),
            Script.json(200, ours), Script.json(204, ""),
        ])
        await #expect(throws: ObjectStoreError.exists(keyring.path)) {
            try await late.store.create(keyring, Self.small)
        }
        #expect(late.asked.last == "DELETE /drive/v3/files/I")
    }

    /// The place of an upload, and what is asked of it.
    static func place(_ url: String = "https://www.googleapis.com/upload/drive/v3/files?upload_id=x") -> Script.Answer {
        Script.json(200, "", [("Location", url)])
    }

    static func stored(_ last: Int?) -> Script.Answer {
        Script.json(308, "", last.map { [("Range", "bytes=0-\($0)")] } ?? [])
    }

    static func upload(_ answers: [Script.Answer], content: [UInt8] = large) async throws -> ([String], Script) {
        let drive = try Script([Script.none, Script.ids] + answers)
        try await drive.store.create(Script.name, content)
        return (drive.transport.requests.compactMap { Script.header("content-range", $0) }, drive)
    }

    @Test func `goes on where it broke off`() async throws {
        let (total, done) = (Self.large.count, Script.json(200, Script.file("I", Self.large)))
        let broken = Script.Answer.failure(.broken("the connection broke off"))
        let all = "bytes 0-\(total - 1)/\(total)"
        let ask = "bytes */\(total)"
        func ranges(_ answers: [Script.Answer]) async throws -> [String] { try await Self.upload(answers).0 }
        #expect(try await ranges([Self.place(), done]) == [all])
        #expect(
            try await ranges([Self.place(), broken, Self.stored(262_143), done])
                == [all, ask, "bytes 262144-\(total - 1)/\(total)"])
        #expect(try await ranges([Self.place(), broken, Self.stored(nil), done]) == [all, ask, all])
        #expect(try await ranges([Self.place(), Script.error(503, "backendError"), done]) == [all, ask])
        #expect(try await ranges([Self.place(), Self.stored(9), done]) == [all, "bytes 10-\(total - 1)/\(total)"])
        #expect(try await ranges([Self.place(), Self.stored(total - 1), done]) == [all, ask])
        #expect(try await ranges([Self.place(), Script.error(401, "authError"), Self.stored(99), done]).count == 3)
        // The place is gone: all again, under the same id.
        #expect(
            try await ranges([Self.place(), broken, Script.error(404, "notFound"), Self.place(), done]) == [
                all, ask, all,
            ])
        #expect(
            try await ranges([
                Self.place(), broken, Script.error(410, ""), Script.error(409, "fileIdInUse"), done,
            ]) == [all, ask])
    }

    @Test func `sends what is left, and no more`() async throws {
        let (_, drive) = try await Self.upload([
            Self.place(), .failure(.broken("x")), Self.stored(262_143), Script.json(200, Script.file("I", Self.large)),
        ])
        guard case .bytes(let rest)? = drive.transport.requests.last?.body else {
            Issue.record("no body")
            return
        }
        #expect(rest == Array(Self.large[262_144...]))
    }

    @Test func `is given up where nothing moves, and never sent elsewhere`() async throws {
        let gone = Script.error(404, "notFound")
        let (still, odd) = ("takes nothing more", "not understood")
        for (answers, words) in [
            ([Self.place()] + (0..<20).map { _ in Self.stored(99) }, still),
            ([Self.place(), Self.stored(1 << 30)], odd),
            ([Self.place(), Script.json(308, "", [("Range", "bytes=5-9")])], odd),
            ((0..<20).flatMap { _ in [Self.place(), gone] }, "forgets uploads"),
            ((0..<20).flatMap { _ in [Self.place(), Script.error(410, "")] }, "forgets uploads"),
            ([Self.place("https://evil.org/upload")], odd), ([Self.place("https://www.googleapis.com.evil.org/")], odd),
            ([Self.place("http://www.googleapis.com/x")], odd), ([Script.json(200, "")], odd),
        ] {
            let drive = try Script([Script.none, Script.ids] + answers)
            await #expect { try await drive.store.create(Script.name, Self.large) } throws: {
                "\($0)".contains(words) && !"\($0)".contains("upload_id") && !"\($0)".contains("evil")
            }
            #expect(!drive.transport.requests.contains { $0.url.contains("evil") })
        }
    }

    @Test func `comes no faster than Drive takes them`() async throws {
        let drive = try Script(
            (0..<30).flatMap { _ in [Script.none, Script.ids, Script.json(200, Script.file("I", Self.small))] })
        for number in 0..<30 { try await drive.store.create(.index(`Every store`.id(UInt8(number))), Self.small) }
        // Nine at once, and then three a second.
        #expect((6_900_000_000...7_100_000_000).contains(drive.clock.now))
    }

    @Test func `that is refused for ten minutes has met the limit of a day`() async throws {
        let busy = Script.error(403, "userRateLimitExceeded", [("Retry-After", "100")])
        let drive = try Script([Script.none, Script.ids] + (0..<40).map { _ in busy })
        await #expect { try await drive.store.create(Script.name, Self.small) } throws: {
            if case ObjectStoreError.dailyLimit(let words) = $0 { words.contains("750 GB a day") } else { false }
        }
        #expect(drive.clock.now >= 600_000_000_000)
        #expect(drive.clock.now < 1_200_000_000_000)
    }
}

@Suite struct `A folder in Google Drive as a store` {
    @Test func `is one folder for all runs, and flat`() async throws {
        let server = try DriveServer.shared.get()
        let notes = MemoryNotes()
        for number in UInt8(1)...3 {
            let store = try server.store("one folder", notes: notes)
            try await store.create(.pack(`Every store`.id(number)), [number])
        }
        #expect(try await server.store("one folder").list(.packs).count == 3)
        #expect(try await server.files().count { $0["name"] as? String == "one folder" } == 1)
    }

    @Test func `in the hidden space is apart from the visible one`() async throws {
        let server = try DriveServer.shared.get()
        let (hidden, visible) = (try server.store("two", space: .appdata), try server.store("two"))
        try await hidden.create(.header, [1])
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await visible.read(.header) }
        try await visible.create(.header, [2])
        #expect(try await server.store("two", space: .appdata).read(.header) == [1])
    }

    @Test func `in the trash is said to be there, and nothing is written beside it`() async throws {
        let server = try DriveServer.shared.get()
        try await server.store("thrown away").create(.header, [1])
        let id = try #require(
            try await server.files().first { $0["name"] as? String == "thrown away" }?["id"] as? String)
        _ = try await server.control("file", #"{"id": "\#(id)", "trashed": true}"#)
        for notes in [MemoryNotes(), MemoryNotes(#"{"folder": "\#(id)", "writes": []}"#)] {
            let store = try server.store("thrown away", notes: notes)
            await #expect { _ = try await store.read(.header) } throws: { "\($0)".contains("trash") }
            await #expect { try await store.create(.header, [1]) } throws: { "\($0)".contains("trash") }
        }
    }

    @Test func `of which there are two is the one with a backup in it`() async throws {
        let server = try DriveServer.shared.get()
        let (empty, used, second) = (MemoryNotes(), MemoryNotes(), MemoryNotes())
        // Each device made its own before it could see the other's.
        for (notes, name) in [(empty, "keyring"), (used, "coffer.json"), (second, "coffer.json")] {
            let made = try await server.control(
                "files",
                #"{"name": "twins", "mimeType": "application/vnd.google-apps.folder", "project": "111111111111"}"#)
            notes.write(Array(#"{"folder": "\#(made["id"] as? String ?? "")", "writes": []}"#.utf8))
            if name == "coffer.json", notes !== second {
                try await server.store("twins", notes: notes).create(.header, [7])
            }
        }
        #expect(try await server.store("twins").read(.header) == [7])
        try await server.store("twins", notes: second).create(.header, [8])
        await #expect { _ = try await server.store("twins").read(.header) } throws: { "\($0)".contains("2 folders") }
    }

    @Test func `lists more files than one answer holds, and each once`() async throws {
        let server = try DriveServer.shared.get()
        let store = try server.store("many", filesPerList: 7)
        let names = (0..<40).map { ObjectName.index(ObjectID(uncheckedBytes: noise(16, seed: UInt64($0)))) }
        await withTaskGroup(of: Void.self) { group in
            for part in stride(from: 0, to: names.count, by: 10) {
                group.addTask { for name in names[part..<part + 10] { try? await store.create(name, [1]) } }
            }
        }
        let listed = try await store.list(.index)
        #expect(listed.count == names.count)
        #expect(Set(listed) == Set(names))
    }

    @Test func `knows what this device did, though lists lag`() async throws {
        let server = try DriveServer(settings: #"{"lagSeconds": 3600}"#)
        let notes = MemoryNotes()
        let (kept, gone) = (ObjectName.pack(`Every store`.id(1)), ObjectName.pack(`Every store`.id(2)))
        let first = try server.store("late", notes: notes)
        try await first.create(.header, [1])
        try await first.create(kept, [1])
        try await first.create(gone, [2])
        try await first.delete(gone)
        // The next command of this device.
        let second = try server.store("late", notes: notes)
        #expect(try await second.list(.packs) == [kept])
        #expect(try await second.read(kept) == [1])
        await #expect(throws: ObjectStoreError.exists("coffer.json")) { try await second.create(.header, [2]) }
        try await second.create(gone, [3])
        #expect(try await second.read(gone) == [3])
        // What another device deleted is no object, whatever this one remembers.
        try await server.store("late", notes: MemoryNotes(String(decoding: notes.read() ?? [], as: UTF8.self))).delete(
            kept)
        #expect(try await second.list(.packs) == [gone])
        // A device that has lost its notes sees what lists say.
        #expect(try await server.store("late").list(.packs) == [])
    }

    @Test func `shares what it knows between programs that write at the same time`() async throws {
        let server = try DriveServer(settings: #"{"lagSeconds": 3600}"#)
        let notes = MemoryNotes()
        try await server.store("both", notes: notes).create(.header, [1])
        let (first, second) = (try server.store("both", notes: notes), try server.store("both", notes: notes))
        let names = (UInt8(1)...3).map { ObjectName.pack(`Every store`.id($0)) }
        try await first.create(names[0], [1])
        try await second.create(names[1], [2])
        try await first.create(names[2], [3])
        #expect(Set(try await server.store("both", notes: notes).list(.packs)) == Set(names))
        try await second.delete(names[1])
        #expect(Set(try await server.store("both", notes: notes).list(.packs)) == [names[0], names[2]])
    }

    @Test func `finds the folder and the header again that it has read, though lists lag`() async throws {
        let server = try DriveServer(settings: #"{"lagSeconds": 60}"#)
        try await server.store("late").create(.header, [7])
        _ = try await server.control("clock", #"{"advance": 61}"#)
        let notes = MemoryNotes()
        #expect(try await server.store("late", notes: notes).read(.header) == [7])
        _ = try await server.control(
            "faults", #"{"operation": "drive.files.list", "forgetful": true, "times": null}"#)
        for _ in 0..<2 { #expect(try await server.store("late", notes: notes).read(.header) == [7]) }
    }

    @Test func `loses nothing that a list forgets`() async throws {
        let server = try DriveServer()
        let store = try server.store("forgetful")
        let names = (UInt8(1)...9).map { ObjectName.pack(`Every store`.id($0)) }
        for name in names { try await store.create(name, [1]) }
        let reader = try server.store("forgetful")
        #expect(try await reader.list(.packs).count == 9)
        for times in 1...2 {
            _ = try await server.control(
                "faults", #"{"operation": "drive.files.list", "forgetful": true, "times": \#(times)}"#)
            #expect(Set(try await reader.list(.packs)) == Set(names))
        }
        _ = try await server.control("faults", #"{"operation": "drive.files.list", "forgetful": true, "times": 1}"#)
        let other = try server.store("forgetful")
        for name in names { #expect(try await other.size(of: name) == 1) }
    }

    @Test func `is rid of a second header once it is old, and keeps the first`() async throws {
        let server = try DriveServer()
        let store = try server.store("headers")
        try await store.create(.header, [1, 2])
        let file = try #require(
            try await server.files().first { $0["name"] as? String == "coffer.json" }?["id"] as? String)
        _ = try await server.control("duplicate", #"{"id": "\#(file)", "text": "other"}"#)
        let later = UInt64(Date().timeIntervalSince1970) + 100
        #expect(try await store.abandoned(before: 1_000, removing: true) == 0)
        #expect(try await store.abandoned(before: later, removing: true) == 5)
        #expect(try await store.read(.header) == [1, 2])
        #expect(try await store.abandoned(before: later, removing: true) == 0)
    }

    @Test func `hides what it deleted, though lists still have it`() async throws {
        let server = try DriveServer()
        let notes = MemoryNotes()
        let name = ObjectName.pack(`Every store`.id(1))
        try await server.store("late", notes: notes).create(name, [1])
        _ = try await server.control("settings", #"{"lagSeconds": 3600}"#)
        _ = try await server.control("clock", #"{"advance": 7200}"#)
        let store = try server.store("late", notes: notes)
        try await store.delete(name)
        #expect(try await server.store("late", notes: notes).list(.packs) == [])
        #expect(try await server.store("late").list(.packs) == [name], "the list lags")
        await #expect(throws: ObjectStoreError.notFound(name.path)) {
            _ = try await server.store("late").size(of: name)
        }
    }

    @Test func `shows one of several copies, and is rid of the others once they are old`() async throws {
        let server = try DriveServer.shared.get()
        let (name, other) = (ObjectName.pack(`Every store`.id(1)), ObjectName.pack(`Every store`.id(2)))
        let store = try server.store("copies")
        for name in [name, other] { try await store.create(name, [1, 2, 3]) }
        let folder = try #require(
            try await server.files().first { $0["name"] as? String == "copies" }?["id"] as? String)
        for (name, text) in [(name, "\u{1}\u{2}\u{3}"), (other, "else")] {
            let file = try #require(
                try await server.files().first {
                    $0["name"] as? String == name.path && ($0["parents"] as? [String]) == [folder]
                }?["id"] as? String)
            _ = try await server.control(
                "duplicate", #"{"id": "\#(file)", "text": "\#(text == "else" ? text : #"\u0001\u0002\u0003"#)"}"#)
        }
        let later = UInt64(Date().timeIntervalSince1970) + 100
        #expect(Set(try await store.list(.packs)) == [name, other])
        #expect(try await store.abandoned(before: 1_000, removing: true) == 0)
        #expect(try await store.abandoned(before: later, removing: false) == 3)
        #expect(try await store.abandoned(before: later, removing: true) == 3)
        #expect(try await store.abandoned(before: later, removing: true) == 0, "of another content none is removed")
        #expect(try await server.store("copies").read(name) == [1, 2, 3])
        #expect(try await server.store("copies").read(other) == [1, 2, 3], "the earlier one is the object")
        try await server.store("copies").delete(other)
        await #expect(throws: ObjectStoreError.notFound(other.path)) {
            _ = try await server.store("copies").read(other)
        }
    }

    @Test func `says how much room there is, and that there is none`() async throws {
        let server = try DriveServer(settings: #"{"quotaBytes": 1000}"#)
        let store = try server.store()
        try await store.create(.header, noise(400, seed: 1))
        #expect(await store.freeBytes() == 600)
        await #expect(throws: ObjectStoreError.full) {
            try await store.create(.index(`Every store`.id(1)), noise(700, seed: 1))
        }
        #expect(try await store.list(.index) == [])
        _ = try await server.control("settings", #"{"quotaBytes": null}"#)
        #expect(await store.freeBytes() == nil)
    }

    @Test func `takes a whole backup through breaks, and gives it back`() async throws {
        let server = try DriveServer(settings: #"{"lagSeconds": 1}"#)
        _ = try await server.control(
            "faults",
            """
            [{"operation": "upload.chunk", "cutRequest": 1000000, "times": 2},
             {"operation": "upload.chunk", "status": 401, "reason": "authError", "times": 1},
             {"operation": "upload.chunk", "lost": true, "times": 1, "skip": 2},
             {"operation": "upload.*", "status": 503, "reason": "backendError", "phase": "after", "times": 3},
             {"operation": "drive.files.create", "lost": true, "times": 3, "skip": 2},
             {"operation": "drive.*", "status": 403, "reason": "userRateLimitExceeded", "times": 9, "probability": 0.3},
             {"operation": "drive.files.list", "incompleteSearch": true, "times": 2, "skip": 2}]
            """)
        let files = ["a": noise(20_000_000, seed: 3), "b/c": [1, 2, 3], "d": noise(70_000, seed: 9)]
        let wing = try await Wing(try server.store("chats"))
        try await wing.backUp(MemorySource(files))
        #expect(try await wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files == files)
        #expect(try await server.control("faults")["hits"] as? Int ?? 0 > 15)
        let names = try await server.files().compactMap { $0["name"] as? String }
        #expect(names.count == Set(names).count, "no file was made twice")
    }
}
