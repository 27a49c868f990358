import AsyncHTTPClient
import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import NIOCore
import ObjectStores
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite struct `A signature of version 4` {
    struct Example: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = "GET"
        var path = "/"
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var payload = ""
        let signature: String
    }

    /// AWS, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
    static let examples = [
        Example(
            testDescription: "GET object", path: "/test.txt", headers: [("Range", "bytes=0-9")],
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Example(
            testDescription: "PUT object", method: "PUT", path: "/test%24file.text",
            headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payload: "Welcome to Amazon S3.",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Example(
            testDescription: "GET bucket lifecycle", query: [("lifecycle", "")],
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Example(
            testDescription: "GET bucket", query: [("prefix", "J"), ("max-keys", "2")],
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    static let credentials = S3Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE",
        secretKey: SecretBytes(copying: Array("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".utf8)))

    @Test(arguments: examples) func `is the one that AWS documents`(_ example: Example) {
        let headers = SignatureV4(region: "us-east-1", credentials: Self.credentials).signed(
            method: example.method, path: example.path, query: SignatureV4.query(example.query),
            headers: example.headers + [("Host", "examplebucket.s3.amazonaws.com")],
            payloadSHA256: sha256(Array(example.payload.utf8)), time: 1_369_353_600)
        let authorization = headers.first { $0.name == "authorization" }?.value ?? ""
        #expect(authorization.hasSuffix(",Signature=\(example.signature)"))
        #expect(authorization.contains("Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"))
    }

    @Test func `signs the token, and shows the secret nowhere`() {
        let token = SecretBytes(copying: Array("a token".utf8))
        let credentials = S3Credentials(
            accessKeyID: "A", secretKey: Self.credentials.secretKey, sessionToken: token)
        let headers = SignatureV4(region: "r", credentials: credentials).signed(
            method: "GET", path: "/", query: "", headers: [("host", "h")], payloadSHA256: sha256([] as [UInt8]), time: 0
        )
        #expect(headers.contains { $0.name == "x-amz-security-token" && $0.value == "a token" })
        #expect(headers.last?.value.contains("host;x-amz-content-sha256;x-amz-date;x-amz-security-token") == true)
        #expect(!"\(headers)".contains("wJalr"))
        #expect(!"\(credentials)".contains("a token"))
    }

    @Test func `encodes each byte of a query once`() {
        #expect(SignatureV4.query([("b", "a/b+c=d %é~"), ("a", "")]) == "a=&b=a%2Fb%2Bc%3Dd%20%25%C3%A9~")
    }
}

@Suite struct `A time on the line` {
    @Test(arguments: [0, 951_782_400, 1_369_353_600, 1_709_164_799, 1_709_251_200, 4_102_444_800, 13_574_563_199])
    func `is the calendar's`(_ seconds: UInt64) throws {
        let time = HTTPTime(seconds: seconds)
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "yyyyMMdd'T'HHmmss'Z'"
        let date = Date(timeIntervalSince1970: TimeInterval(seconds))
        #expect(time.basicTime == formatter.string(from: date))
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        #expect(HTTPTime(httpDate: formatter.string(from: date))?.seconds == seconds)
    }

    @Test(arguments: [
        "", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 40 Nov 1994 08:49:37 GMT",
    ])
    func `of another form is none`(_ text: String) { #expect(HTTPTime(httpDate: text) == nil) }
}

@Suite struct `The address of a bucket` {
    @Test(arguments: [
        ("s3:https://S3.Example.org:443/chats/me/phone/", "s3:https://s3.example.org/chats/me/phone"),
        ("s3:https://s3.eu-central-1.amazonaws.com/chats", "s3:https://s3.eu-central-1.amazonaws.com/chats"),
        ("s3:https://s3.amazonaws.com/chats?region=us-east-1", "s3:https://s3.amazonaws.com/chats"),
        ("s3:https://h/chats?style=path&region=eu-1", "s3:https://h/chats?region=eu-1"),
        ("s3:https://h/chats?style=host", "s3:https://h/chats?style=host"),
        ("s3:http://127.0.0.1:5000/chats/a_b.c~d", "s3:http://127.0.0.1:5000/chats/a_b.c~d"),
        ("s3:http://[::1]:5000/chats", "s3:http://[::1]:5000/chats"),
    ])
    func `is one text for one place`(_ text: String, _ canonical: String) throws {
        #expect(try S3Address(text).text == canonical)
        #expect(try S3Address(canonical) == S3Address(text))
    }

    @Test(arguments: [
        ("/folder", S3Address.Malformed.notAnAddress), ("s3:host/bucket", .notAnAddress),
        ("s3:ftp://h/bucket", .notAnAddress), ("s3:https://h:x/bucket", .notAnAddress),
        ("s3:https://h/bucket#x", .notAnAddress), ("s3:https:///bucket", .notAnAddress),
        ("s3:https://key:secret@h/bucket", .hasCredentials), ("s3:http://nas.local/bucket", .notEncrypted),
        ("s3:http://127.evil.org/bucket", .notEncrypted), ("s3:http://127.0.0.1.evil.org/bucket", .notEncrypted),
        ("s3:https://h", .noBucket), ("s3:https://h/", .noBucket), ("s3:https://h/Bucket", .badBucket),
        ("s3:https://h/a", .badBucket), ("s3:https://h/a..b", .badBucket), ("s3:https://h/-ab", .badBucket),
        ("s3:https://h/bucket//x", .badPrefix), ("s3:https://h/bucket/../x", .badPrefix),
        ("s3:https://h/bucket/a b", .badPrefix), ("s3:https://h/bucket/a%20b", .badPrefix),
        ("s3:https://h/bucket?secret=x", .unknownOption("secret")),
        ("s3:https://h/bucket?style=x", .unknownOption("style")),
        ("s3:https://h/bucket?region=a&region=b", .unknownOption("region")),
        ("s3:https://h/bucket?wJalrXUtnFEMIK7MDENG", .unknownOption("of another form")),
        ("s3:https://key:sec/ret@h/bucket", .hasCredentials), ("s3:https://h:0443/bucket", .notAnAddress),
        ("s3:http://127.0.0.1:5000/bucket?style=host", .unknownOption("style")),
        ("s3:http://localhost/bucket?style=host", .unknownOption("style")),
        ("s3:https://192.0.2.1/bucket?style=host", .unknownOption("style")),
        ("s3:https://[::1]/bucket?style=host", .unknownOption("style")),
    ])
    func `is refused where it would mean something else`(_ text: String, _ error: S3Address.Malformed) {
        #expect(throws: error) { _ = try S3Address(text) }
    }
}

@Suite struct `A client of S3` {
    static let name = ObjectName.index(`Every store`.id(1))
    static let now: UInt64 = 1_369_353_600

    static func store(
        _ answers: [Result<StoreAnswer, StoreTransportError>], address: String = "s3:https://h/bucket/p",
        triesMax: Int = 4, clock: StandingClock = StandingClock()
    ) throws -> (S3Store, ScriptedTransport) {
        let transport = ScriptedTransport(answers)
        let client = S3Client(
            try S3Address(address), `A signature of version 4`.credentials, transport: transport,
            backoff: Backoff(triesMax: triesMax, triesMaxUnanswered: 2, clock: clock.waiting, dice: { $0 }),
            now: { now })
        return (S3Store(client), transport)
    }

    static func answer(
        _ status: Int, _ body: String = "", _ headers: [(name: String, value: String)] = []
    ) -> Result<StoreAnswer, StoreTransportError> {
        .success(StoreAnswer(status: status, headers: headers, body: Array(body.utf8)))
    }

    static func error(
        _ status: Int, _ code: String, _ more: String = "", _ headers: [(name: String, value: String)] = []
    )
        -> Result<StoreAnswer, StoreTransportError>
    {
        answer(status, String(decoding: FaultyTransport.error(code, more), as: UTF8.self), headers)
    }

    static func header(_ name: String, _ request: StoreRequest?) -> String? {
        request?.headers.first { $0.name == name }?.value
    }

    @Test func `asks for an object by its path, or by the bucket's own host`() async throws {
        let (store, transport) = try Self.store([Self.answer(200, "abc")])
        #expect(try await store.read(Self.name) == Array("abc".utf8))
        #expect(transport.requests.map(\.url) == ["https://h/bucket/p/\(Self.name.path)"])
        let aws = try Self.store(
            [Self.answer(200, "abc")], address: "s3:https://s3.eu-west-3.amazonaws.com/bucket")
        _ = try await aws.0.read(Self.name)
        #expect(aws.1.requests.map(\.url) == ["https://bucket.s3.eu-west-3.amazonaws.com/\(Self.name.path)"])
        #expect(Self.header("host", aws.1.requests.first) == "bucket.s3.eu-west-3.amazonaws.com")
        #expect(Self.header("authorization", aws.1.requests.first)?.contains("/eu-west-3/s3/") == true)
    }

    @Test func `sends hash, MD5, and the condition that the name is free`() async throws {
        let (store, transport) = try Self.store([Self.answer(404), Self.answer(200)])
        try await store.create(Self.name, Array("hello".utf8))
        let put = transport.requests.last
        #expect(transport.requests.map(\.method) == ["HEAD", "PUT"])
        #expect(Self.header("content-md5", put) == "XUFAKrxLKna5cZ2REBfFkg==")
        #expect(Self.header("x-amz-content-sha256", put) == Hex.encode(sha256(Array("hello".utf8))))
        #expect(Self.header("if-none-match", put) == "*")
        #expect(put?.headers.contains { $0.value.contains("aws-chunked") || $0.name == "transfer-encoding" } == false)
    }

    @Test func `sends the MD5 of what is large where it is wanted`() async throws {
        let (store, transport) = try Self.store([
            Self.answer(404), Self.error(400, "InvalidRequest"), Self.answer(404), Self.answer(200), Self.answer(404),
            Self.answer(412), Self.answer(200, "", [("etag", "\"5d41402abc4b2a76b9719d911017c592\"")]),
        ])
        for _ in 0..<2 {
            let upload = try await store.begin(Self.name)
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 1)
            defer { bytes.deallocate() }
            bytes.copyBytes(from: Array("hello".utf8))
            try await upload.append(UnsafeRawBufferPointer(bytes))
            // The second time the answer was lost, and the server keeps no mark: what lies there is what was sent.
            try await upload.finish()
        }
        let puts = transport.requests.filter { $0.method == "PUT" }
        let md5 = "XUFAKrxLKna5cZ2REBfFkg=="
        #expect(puts.map { Self.header("content-md5", $0) } == [nil, md5, md5])
        #expect(puts.allSatisfy { Self.header("x-amz-content-sha256", $0) == Hex.encode(sha256(Array("hello".utf8))) })
    }

    @Test func `looks for no name where the server is known to refuse`() async throws {
        let transport = ScriptedTransport([
            Self.answer(200), Self.error(412, "PreconditionFailed"),
            Self.answer(200, "", [("x-amz-meta-coffer-upload", "another")]),
        ])
        let client = S3Client(
            try S3Address("s3:https://h/bucket"), `A signature of version 4`.credentials, transport: transport,
            now: { Self.now })
        let store = S3Store(client, capabilities: StoreCapabilities(refusesToReplace: true))
        try await store.create(Self.name, [1])
        await #expect(throws: ObjectStoreError.exists(Self.name.path)) { try await store.create(Self.name, [1]) }
        #expect(transport.requests.map(\.method) == ["PUT", "PUT", "HEAD"])
    }

    @Test func `finds out whether the server refuses to replace, and leaves nothing`() async throws {
        let refused = Self.error(412, "PreconditionFailed")
        func found(_ race: [Result<StoreAnswer, StoreTransportError>]) async throws -> (Bool?, [String]) {
            let (store, transport) = try Self.store([Self.answer(200)] + race + [Self.answer(204), Self.answer(204)])
            let found = try await store.probed().refusesToReplace
            #expect(transport.requests.allSatisfy { $0.url.contains("/p/coffer-probe-") })
            return (found, transport.requests.suffix(2).map(\.method))
        }
        let ends = ["DELETE", "DELETE"]
        #expect(try await found([refused, Self.answer(200)] + (0..<7).map { _ in refused }) == (true, ends))
        #expect(
            try await found([refused, Self.answer(200), Self.answer(200)] + (0..<6).map { _ in refused }) == (
                false, ends
            ))
        #expect(try await found([Self.answer(200)]) == (false, ends))
        #expect(try await found([Self.error(501, "NotImplemented")]) == (false, ends))
        #expect(
            try await S3Server.store().probed() == StoreCapabilities(refusesToReplace: true, keepsDeleted: false))
    }

    @Test func `looks first where a server knows no conditions`() async throws {
        let (store, transport) = try Self.store([
            Self.answer(404), Self.error(501, "NotImplemented"), Self.answer(404), Self.answer(200),
            Self.answer(404), Self.answer(200), Self.answer(200, "", [("content-length", "3")]),
        ])
        try await store.create(Self.name, [1])
        try await store.create(Self.name, [1])
        await #expect(throws: ObjectStoreError.exists(Self.name.path)) { try await store.create(Self.name, [1]) }
        #expect(transport.requests.map { Self.header("if-none-match", $0) } == [nil, "*", nil, nil, nil, nil, nil])
    }

    @Test func `an answer that is lost after the deed is no second writer`() async throws {
        let transport = LosingTransport()
        let client = S3Client(
            try S3Address("s3:https://h/bucket"), `A signature of version 4`.credentials, transport: transport,
            backoff: Backoff(clock: StandingClock().waiting, dice: { $0 }), now: { Self.now })
        try await S3Store(client).create(Self.name, [1])
        #expect(transport.puts.withLock { $0 } == 2)
        let (other, _) = try Self.store([
            Self.answer(404), Self.error(412, "PreconditionFailed"),
            Self.answer(200, "", [("x-amz-meta-coffer-upload", "another")]),
        ])
        await #expect(throws: ObjectStoreError.exists(Self.name.path)) { try await other.create(Self.name, [1]) }
    }

    @Test func `puts its clock right once, by the server's`() async throws {
        let late = [(name: "Date", value: "Fri, 24 May 2013 05:00:00 GMT")]
        let (store, transport) = try Self.store([
            Self.error(403, "RequestTimeTooSkewed", "", late), Self.answer(200, "abc"), Self.answer(200, "abc"),
        ])
        _ = try await store.read(Self.name)
        _ = try await store.read(Self.name)
        #expect(
            transport.requests.map { Self.header("x-amz-date", $0) }
                == ["20130524T000000Z", "20130524T050000Z", "20130524T050000Z"])
        let refused = try Self.store([
            Self.error(403, "SignatureDoesNotMatch", "", late), Self.error(403, "SignatureDoesNotMatch", "", late),
        ])
        await #expect(throws: ObjectStoreError.credentials("status 403, SignatureDoesNotMatch")) {
            _ = try await refused.0.read(Self.name)
        }
        // Nobody can put it right who is not told the time: signing in again would not help.
        let (untold, _) = try Self.store([Self.error(403, "RequestTimeTooSkewed")])
        await #expect(
            throws: ObjectStoreError.failed(
                "this device's clock is wrong, by more than the server allows (status 403, RequestTimeTooSkewed). Set it, "
                    + "and try again")
        ) {
            _ = try await untold.read(Self.name)
        }
    }

    @Test(arguments: [
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-1</Region>"),
        error(301, "PermanentRedirect", "", [("x-amz-bucket-region", "eu-1")]),
        answer(301, "", [("x-amz-bucket-region", "eu-1")]),
    ])
    func `goes to the bucket's region once`(_ redirection: Result<StoreAnswer, StoreTransportError>) async throws {
        let (store, transport) = try Self.store([redirection, Self.answer(200, "abc"), Self.answer(200, "abc")])
        _ = try await store.read(Self.name)
        _ = try await store.read(Self.name)
        let regions = transport.requests.map { Self.header("authorization", $0)?.split(separator: "/")[2] }
        #expect(regions == ["us-east-1", "eu-1", "eu-1"])
        let circle = try Self.store([redirection, redirection, redirection])
        await #expect(throws: ObjectStoreError.self) { _ = try await circle.0.read(Self.name) }
        #expect(circle.1.requests.count == 2)
    }

    @Test func `gives a part, whatever of it the server gives`() async throws {
        let whole = "0123456789"
        func read(_ range: Range<Int>, _ answer: Result<StoreAnswer, StoreTransportError>) async throws -> String {
            String(decoding: try await Self.store([answer]).0.read(Self.name, range), as: UTF8.self)
        }
        let name = Self.name.path
        #expect(try await read(2..<5, Self.answer(206, "234", [("Content-Range", "bytes 2-4/10")])) == "234")
        #expect(try await read(2..<5, Self.answer(200, "234", [("Content-Range", "bytes 2-4/10")])) == "234")
        #expect(try await read(2..<5, Self.answer(200, whole)) == "234")
        for (range, answer) in [
            (2..<12, Self.answer(206, "23456789", [("Content-Range", "bytes 2-9/10")])),
            (2..<12, Self.answer(200, whole)),
            (12..<13, Self.error(416, "InvalidRange")), (12..<13, Self.answer(416)),
        ] {
            await #expect(throws: ObjectStoreError.truncated(name)) { _ = try await read(range, answer) }
        }
        let short = Self.answer(206, "234", [("Content-Range", "bytes 2-4/100")])
        let (once, asked) = try Self.store([
            short, short, Self.answer(206, "2345", [("Content-Range", "bytes 2-5/100")]),
        ])
        #expect(String(decoding: try await once.read(Self.name, 2..<6), as: UTF8.self) == "2345")
        #expect(asked.requests.count == 3)
        for total in ["100", "*"] {
            let answers = (0..<4).map { _ in Self.answer(206, "234", [("Content-Range", "bytes 2-4/\(total)")]) }
            await #expect {
                _ = try await Self.store(answers).0.read(Self.name, 2..<6)
            } throws: { error in
                if case ObjectStoreError.failed = error { true } else { false }
            }
        }
        for answer in [
            Self.answer(206, "345", [("Content-Range", "bytes 3-5/10")]), Self.answer(206, "234"),
            Self.answer(206, "23", [("Content-Range", "bytes 2-4/10")]),
        ] {
            await #expect { _ = try await read(2..<5, answer) } throws: { error in
                if case ObjectStoreError.failed = error { true } else { false }
            }
        }
    }

    @Test func `lists to the end, each object once, and nobody else's`() async throws {
        let id = `Every store`.id(3).hex
        func page(_ keys: [String], _ rest: String) -> Result<StoreAnswer, StoreTransportError> {
            let contents = keys.map { "<Contents><Key>\($0)</Key><Size>1</Size></Contents>" }.joined()
            return Self.answer(
                200,
                "<?xml version='1.0'?><!-- c --><s3:ListBucketResult xmlns:s3='u'><EncodingType>url</EncodingType>\(contents)"
                    + "\(rest)<Prefix/></s3:ListBucketResult>")
        }
        let (store, transport) = try Self.store([
            page(
                ["p/index/\(id)", "p%2Findex%2F\(`Every store`.id(4).hex)", "p/index/a+b%26&amp;", "q/index/\(id)"],
                "<IsTruncated>true</IsTruncated><NextContinuationToken>a+/=&amp;b</NextContinuationToken>"),
            page(["p/index/\(id)"], "<IsTruncated>false</IsTruncated>"),
        ])
        #expect(Set(try await store.list(.index)) == [.index(`Every store`.id(3)), .index(`Every store`.id(4))])
        #expect(transport.requests.last?.url.contains("continuation-token=a%2B%2F%3D%26b&encoding-type=url") == true)
        let again = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        for answers in [
            [page(["p/index/\(id)"], "<IsTruncated>true</IsTruncated>")], [page([], again), page([], again)],
            [page([], "")], [Self.answer(200, "<html><body>Welcome</body></html>")], [Self.answer(200, "")],
            [Self.error(200, "InternalError")],
        ] {
            let (store, _) = try Self.store(answers)
            await #expect { _ = try await store.list(.index) } throws: { error in
                if case ObjectStoreError.failed = error { true } else { false }
            }
        }
    }

    @Test func `tells an object that is missing from a bucket that is`() async throws {
        let object = try Self.store([Self.error(404, "NoSuchKey"), Self.answer(404), Self.error(404, "NoSuchKey")]).0
        await #expect(throws: ObjectStoreError.notFound(Self.name.path)) { _ = try await object.read(Self.name) }
        await #expect(throws: ObjectStoreError.notFound(Self.name.path)) { _ = try await object.size(of: Self.name) }
        let bucket = try Self.store([
            Self.error(404, "NoSuchBucket"), Self.answer(404), Self.error(404, "NoSuchBucket"),
        ]).0
        let error = ObjectStoreError.failed("there is no bucket named bucket")
        await #expect(throws: error) { _ = try await bucket.read(Self.name) }
        await #expect(throws: error) { _ = try await bucket.size(of: Self.name) }
    }

    @Test func `takes an answer that says nothing of the object for none`() async throws {
        let gone = Self.answer(404, "404 page not found")
        let away: [@Sendable (S3Store) async throws -> Void] = [
            { _ = try await $0.read(Self.name) }, { _ = try await $0.read(Self.name, 0..<1) },
            { _ = try await $0.size(of: Self.name) }, { try await $0.delete(Self.name) },
            { _ = try await $0.list(.index) },
        ]
        for call in away {
            await #expect { try await call(try Self.store([gone, gone, gone, gone, gone]).0) } throws: { error in
                if case ObjectStoreError.failed = error { true } else { false }
            }
        }
        #expect(try await Self.store([gone, gone, Self.answer(200, "abc")]).0.read(Self.name) == Array("abc".utf8))
        try await Self.store([Self.error(404, "NoSuchKey")]).0.delete(Self.name)
    }

    @Test func `takes no success that holds an error`() async throws {
        let error = Self.error(200, "InternalError")
        let (store, transport) = try Self.store([Self.answer(404), error, error, Self.answer(200)])
        try await store.create(Self.name, [1])
        #expect(transport.requests.map(\.method) == ["HEAD", "PUT", "PUT", "PUT"])
        let refused = try Self.store([Self.error(200, "AccessDenied")]).0
        await #expect(throws: ObjectStoreError.denied("\(Self.name.path) (status 200, AccessDenied)")) {
            try await refused.delete(Self.name)
        }
        let never = try Self.store([error, error, error, error]).0
        await #expect(throws: ObjectStoreError.self) { try await never.delete(Self.name) }
        try await Self.store([Self.answer(200, "<DeleteResult/>")]).0.delete(Self.name)
    }

    @Test func `learns why where an answer has no body to say it`() async throws {
        let (expired, asked) = try Self.store([Self.answer(403), Self.error(403, "ExpiredToken")])
        await #expect(throws: ObjectStoreError.credentials("status 403, ExpiredToken")) {
            try await expired.create(Self.name, [1])
        }
        #expect(asked.requests.map(\.method) == ["HEAD", "GET"])
        let (moved, requests) = try Self.store([
            Self.answer(400, "", [("x-amz-bucket-region", "eu-1")]), Self.answer(404), Self.answer(200),
        ])
        try await moved.create(Self.name, [1])
        #expect(
            requests.requests.map { Self.header("authorization", $0)?.split(separator: "/")[2] } == [
                "us-east-1", "eu-1", "eu-1",
            ])
    }

    @Test(arguments: [
        error(403, "AccessDenied", "", [("Date", "Tue, 01 Jan 2041 00:00:00 GMT")]),
        error(403, "RequestTimeTooSkewed", "", [("Date", "Sun, 30 Nov 2026 00:00:00 GMT")]),
    ])
    func `signs nothing for a time far ahead, unless its clock was never set`(
        _ refusal: Result<StoreAnswer, StoreTransportError>
    ) async throws {
        func requests(_ now: UInt64) async throws -> Int {
            let transport = ScriptedTransport([refusal, Self.answer(200, "abc")])
            let client = S3Client(
                try S3Address("s3:https://h/bucket"), `A signature of version 4`.credentials, transport: transport,
                backoff: Backoff(clock: StandingClock().waiting), now: { now })
            _ = try? await S3Store(client).read(Self.name)
            return transport.requests.count
        }
        #expect(try await requests(1_795_824_000) == 1)
        #expect(try await requests(86_400) == 2)
    }

    @Test func `goes in no circle through a list`() async throws {
        func page(_ token: String) -> Result<StoreAnswer, StoreTransportError> {
            Self.answer(
                200,
                "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>\(token)</NextContinuationToken></ListBucketResult>"
            )
        }
        let (store, transport) = try Self.store([page("a"), page("b"), page("a"), page("b"), page("c")])
        await #expect(throws: ObjectStoreError.failed("its list of objects repeats itself")) {
            _ = try await store.list(.index)
        }
        #expect(transport.requests.count == 3)
    }

    @Test func `takes no more of an answer than an object has`() async throws {
        let (store, transport) = try Self.store((0..<5).map { _ in Self.answer(200, "abc") })
        for name in [ObjectName.header, .keyring(number: 1, copy: .a), .pack(`Every store`.id(1)), Self.name] {
            _ = try await store.read(name)
        }
        _ = try await store.read(Self.name, 0..<2)
        let most = transport.requests.map(\.answerBytesMax)
        #expect(most[0] == 1 << 20 && most[1] == 1 << 20)
        #expect(most[2] < 17 << 20 && most[2] > packBytesMax && most[4] == most[2])
        #expect(most[3] == 64 << 20)
    }

    @Test func `reads no error that would fill the memory`() async throws {
        let name = String(repeating: "a", count: 60_000)
        let bomb = "<Error><\(name)>" + String(repeating: "<b/>", count: 15_000) + "</\(name)></Error>"
        let (store, _) = try Self.store([Self.answer(403, bomb)])
        await #expect(throws: ObjectStoreError.denied("\(Self.name.path) (status 403)")) {
            _ = try await store.read(Self.name)
        }
        let many = "<ListBucketResult>" + String(repeating: "<b/>", count: 30_000) + "</ListBucketResult>"
        await #expect(throws: ObjectStoreError.failed("its list of objects cannot be read")) {
            _ = try await Self.store([Self.answer(200, many)]).0.list(.index)
        }
    }

    @Test(arguments: [
        (500, "InternalError"), (503, "SlowDown"), (429, "x"), (400, "RequestTimeout"), (409, "OperationAborted"),
        (400, "BadDigest"), (502, ""), (504, ""), (408, ""),
    ])
    func `tries again what may go well`(_ status: Int, _ code: String) async throws {
        let failure = Self.error(status, code)
        let (store, transport) = try Self.store([failure, failure, failure, Self.answer(200, "abc")])
        #expect(try await store.read(Self.name) == Array("abc".utf8))
        #expect(transport.requests.count == 4)
        let (never, given) = try Self.store([failure, failure, failure, failure, Self.answer(200, "abc")])
        await #expect(throws: ObjectStoreError.self) { _ = try await never.read(Self.name) }
        #expect(given.requests.count == 4)
    }

    @Test(arguments: [
        (400, "InvalidArgument"), (403, "AccessDenied"), (403, "InvalidAccessKeyId"), (404, "NoSuchKey"),
        (403, "ExpiredToken"), (507, ""), (403, "QuotaExceeded"), (403, "InvalidObjectState"), (405, ""),
    ])
    func `says at once what will not`(_ status: Int, _ code: String) async throws {
        let (store, transport) = try Self.store([Self.error(status, code), Self.answer(200, "abc")])
        await #expect(throws: ObjectStoreError.self) { _ = try await store.read(Self.name) }
        #expect(transport.requests.count == 1)
    }

    @Test func `waits longer each time, and as long as it is asked to`() async throws {
        let clock = StandingClock()
        let (store, _) = try Self.store(
            [
                Self.answer(500), Self.answer(500), Self.answer(503, "", [("Retry-After", "17")]),
                Self.answer(503, "", [("Retry-After", "1e9")]), Self.answer(200, "abc"),
            ], triesMax: 9, clock: clock)
        _ = try await store.read(Self.name)
        #expect(clock.now == 250_000_000 + 500_000_000 + 17_000_000_000 + 120_000_000_000)
    }

    @Test func `takes no answer that was cut`() async throws {
        let cut = Self.answer(200, "ab", [("Content-Length", "3")])
        let (store, transport) = try Self.store([cut, cut, Self.answer(200, "abc", [("Content-Length", "3")])])
        #expect(try await store.read(Self.name) == Array("abc".utf8))
        #expect(transport.requests.count == 3)
    }

    @Test func `gives an address where nothing ever answered up soon`() async throws {
        let (store, transport) = try Self.store([
            .failure(.broken("no connection")), .failure(.broken("no connection")),
        ])
        await #expect(throws: ObjectStoreError.failed("\(Self.name.path): no connection")) {
            _ = try await store.read(Self.name)
        }
        #expect(transport.requests.count == 2)
        let (untrusted, once) = try Self.store([.failure(.untrusted), Self.answer(200, "abc")])
        await #expect(throws: ObjectStoreError.self) { _ = try await untrusted.read(Self.name) }
        #expect(once.requests.count == 1)
    }

    @Test func `repeats nothing of an answer but its code`() async throws {
        let (store, _) = try Self.store([
            Self.error(403, "SignatureDoesNotMatch", "<StringToSign>AKIA</StringToSign>"),
            Self.error(400, "AKIA secret &lt;b&gt;"),
        ])
        for _ in 0..<2 {
            await #expect {
                _ = try await store.read(Self.name)
            } throws: { error in
                !"\(error)".contains("AKIA")
            }
        }
    }
}

@Suite struct `A bucket as a store` {
    @Test func `lists more objects than one answer holds, each once`() async throws {
        let store = try S3Server.store(objectsPerList: 30)
        let names = (0..<100).map { ObjectName.index(ObjectID(uncheckedBytes: noise(16, seed: UInt64($0)))) }
        await withTaskGroup(of: Void.self) { group in
            for part in stride(from: 0, to: names.count, by: 20) {
                group.addTask {
                    for name in names[part..<min(part + 20, names.count)] { try? await store.create(name, [1]) }
                }
            }
        }
        let listed = try await store.list(.index)
        #expect(listed.count == names.count)
        #expect(Set(listed) == Set(names))
    }

    @Test(arguments: 1...2) func `on a bad line takes a whole backup, and gives it back`(_ seed: UInt64) async throws {
        let files = ["a": noise(3_000_000, seed: seed), "b/c": [1, 2, 3], "d": noise(70_000, seed: seed + 9)]
        let wing = try await Wing(try S3Server.store { FaultyTransport($0, seed: seed) })
        try await wing.backUp(MemorySource(files))
        #expect(try await wing.verify().findings.isEmpty)
        #expect(try await wing.restored().files == files)
    }
}

@Suite struct `Uploads to a bucket` {
    /// With fewer at a time the gate stays shut, and the time limit ends the test.
    @Test(.timeLimit(.minutes(5))) func `wait for their answers together`() async throws {
        let transport = GatedTransport(HTTPStoreTransport(), opensAt: 8)
        let wing = try await Wing(try S3Server.store { _ in transport })
        let files = ["a": noise(12 << 20, seed: 5)]
        try await wing.backUp(MemorySource(files), packBytes: 1 << 20)
        #expect(transport.peak >= 8)
        #expect(transport.peak <= 9, "what lies on the disk is bounded")
        #expect(try await wing.restored().files == files)
    }
}

/// Lets the uploads of packs through when so many are there at a time, and all that come later.
private final class GatedTransport: StoreTransport {
    private struct State {
        var waiting: [CheckedContinuation<Void, Never>] = []
        var isOpen = false
        var inside = 0
        var peak = 0
    }

    private let transport: any StoreTransport
    private let opensAt: Int
    private let state = Mutex(State())

    init(_ transport: any StoreTransport, opensAt: Int) {
        self.transport = transport
        self.opensAt = opensAt
    }

    var peak: Int { state.withLock { $0.peak } }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        guard request.method == "PUT", request.url.contains("/packs/") else { return try await transport.send(request) }
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                state.inside += 1
                state.peak = max(state.peak, state.inside)
                state.waiting.append(continuation)
                if state.inside >= opensAt { state.isOpen = true }
                defer { if state.isOpen { state.waiting = [] } }
                return state.isOpen ? state.waiting : []
            }
            ready.forEach { $0.resume() }
        }
        defer { state.withLock { $0.inside -= 1 } }
        return try await transport.send(request)
    }
}

/// Does the first upload, and loses the answer.
private final class LosingTransport: StoreTransport {
    let puts = Mutex(0)
    private let mark = Mutex("")

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        let mark = mark.withLock { $0 }
        guard request.method == "PUT" else {
            return StoreAnswer(status: mark.isEmpty ? 404 : 200, headers: [("x-amz-meta-coffer-upload", mark)])
        }
        let count = puts.withLock {
            $0 += 1; return $0
        }
        guard count == 1 else { return StoreAnswer(status: 412, body: FaultyTransport.error("PreconditionFailed")) }
        self.mark.withLock { $0 = request.headers.first { $0.name == "x-amz-meta-coffer-upload" }?.value ?? "" }
        throw .broken("the connection broke off")
    }
}
