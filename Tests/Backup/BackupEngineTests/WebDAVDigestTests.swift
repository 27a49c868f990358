import BackupEngine
import BackupFormat
import ByteCoding
import ObjectStores
import Primitives
import Testing

@Suite struct `A proof by hashes` {
    private typealias Script = WebDAVScript
    static let challenge =
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=NAME, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
        + "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""

    static func field(_ name: String, _ request: StoreRequest?) -> String? {
        let header = Script.header("authorization", request) ?? ""
        guard let start = header.firstRange(of: "\(name)=")?.upperBound else { return nil }
        return header[start...].prefix { $0 != "," }.filter { $0 != "\"" }
    }

    /// The answer that belongs to a request, computed here from its own fields.
    static func expected(_ request: StoreRequest?, _ hash: ([UInt8]) -> String) -> String {
        let first = hash(Array("Mufasa:http-auth@example.org:Circle of Life".utf8))
        let second = hash(Array("\(request?.method ?? ""):\(field("uri", request) ?? "")".utf8))
        let middle = ["nonce", "nc", "cnonce", "qop"].map { field($0, request) ?? "" }.joined(separator: ":")
        return hash(Array("\(first):\(middle):\(second)".utf8))
    }

    static func md5(_ bytes: [UInt8]) -> String {
        var md5 = MD5()
        md5.update(bytes)
        return Hex.encode(md5.digest())
    }

    @Test func `is given where the server asks for it, the stronger if there is a choice`() async throws {
        let (store, transport) = try Script.store([
            Script.answer(
                401, "",
                [
                    ("WWW-Authenticate", Self.challenge.replacing("NAME", with: "MD5")),
                    ("WWW-Authenticate", Self.challenge.replacing("NAME", with: "SHA-256")),
                    ("WWW-Authenticate", "Basic realm=\"x\""),
                ]),
            Script.answer(200, "abc"), Script.answer(200, "abc"),
        ])
        for _ in 0..<2 { _ = try await store.read(Script.name) }
        let sent = transport.requests
        #expect(sent.count == 3)
        #expect(Script.header("authorization", sent[0])?.hasPrefix("Basic ") == true)
        for (request, count) in [(sent[1], "00000001"), (sent[2], "00000002")] {
            #expect(Self.field("algorithm", request) == "SHA-256")
            #expect(Self.field("uri", request) == "/p/\(Script.name.path)")
            #expect(Self.field("nc", request) == count)
            #expect(Self.field("opaque", request) == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")
            #expect(Self.field("response", request) == Self.expected(request) { Hex.encode(sha256($0)) })
        }
        #expect(!"\(sent[1].headers)".contains("Circle"))
    }

    @Test func `is made anew for a new nonce, and given up when it is wrong`() async throws {
        let first = [(name: "WWW-Authenticate", value: Self.challenge.replacing("NAME", with: "MD5"))]
        let next = [(name: "WWW-Authenticate", value: first[0].value.replacing("7ypf", with: "next"))]
        let (store, transport) = try Script.store([
            Script.answer(401, "", first), Script.answer(200, "a"), Script.answer(401, "", next),
            Script.answer(200, "a"),
        ])
        for _ in 0..<2 { _ = try await store.read(Script.name) }
        #expect(transport.requests.map { Self.field("nc", $0) } == [nil, "00000001", "00000002", "00000001"])
        for request in transport.requests.dropFirst() {
            #expect(Self.field("response", request) == Self.expected(request, Self.md5))
        }
        for headers in [first, next] {
            let (wrong, tried) = try Script.store([
                Script.answer(401, "", first), Script.answer(401, "", headers), Script.answer(200),
            ])
            await #expect(throws: ObjectStoreError.credentials("status 401")) { _ = try await wrong.read(Script.name) }
            #expect(tried.requests.count == 2)
        }
    }

    @Test func `that has grown old is made anew after each pause`() async throws {
        let first = Self.challenge.replacing("NAME", with: "MD5")
        func stale(_ number: Int) -> WebDAVScript.Answer {
            let value = first.replacing("7ypf", with: "\(number)") + ", stale=true"
            return Script.answer(401, "", [("WWW-Authenticate", value)])
        }
        let busy = Script.answer(503, "", [("Retry-After", "120")])
        let (store, transport) = try Script.store([
            Script.answer(401, "", [("WWW-Authenticate", first)]), busy, stale(1), busy, stale(2),
            Script.answer(200, "a"),
        ])
        #expect(try await store.read(Script.name) == Array("a".utf8))
        #expect(transport.requests.count == 6)
        // A server that finds everything old at once gets no more.
        let (never, tried) = try Script.store((0..<9).map(stale))
        await #expect(throws: ObjectStoreError.credentials("status 401")) { _ = try await never.read(Script.name) }
        #expect(tried.requests.count == 2)
    }

    @Test(arguments: [
        "Digest realm=\"r\"", "Digest nonce=\"n\"", "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256",
        "Negotiate", "Digest ,,=",
        "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", "Digest realm=\"r\", nonce=\"",
    ])
    func `is not given where it is asked for in a way that is not known`(_ header: String) async throws {
        let (store, transport) = try Script.store([
            Script.answer(401, "", [("WWW-Authenticate", header)]), Script.answer(200),
        ])
        await #expect(throws: ObjectStoreError.credentials("status 401")) { _ = try await store.read(Script.name) }
        #expect(transport.requests.count == 1)
    }
}
