import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// Tokens that another library made (`Specs/reference/token_vectors.py`), good and forged, in all five algorithms.
@Suite struct TokenVectorTests {
    private struct Vectors: Decodable {
        struct Case: Decodable {
            var `case`: String
            var token: String
            var refusal: String?
        }
        var nowSeconds: UInt64
        var vault: String
        var cases: [Case]
    }

    private let vectors: Vectors
    private let keySet: [String: Any]

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../..")
        let data = try Data(contentsOf: root.appending(path: "Specs/vectors/tokens/tokens.json"))
        vectors = try JSONDecoder().decode(Vectors.self, from: data)
        let all = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        keySet = try #require(all["keySet"] as? [String: Any])
    }

    private var keys: [[String: Any]] { keySet["keys"] as? [[String: Any]] ?? [] }

    private func tenantKeys(_ keys: [[String: Any]]) async throws -> TenantKeys {
        try await TenantKeys(json: [UInt8](try JSONSerialization.data(withJSONObject: ["keys": keys])))
    }

    private func failure(_ kid: String, _ change: (inout [String: Any]) -> Void) async throws -> TenantKeys.Failure? {
        var key = try #require(keys.first { $0["kid"] as? String == kid })
        change(&key)
        let json = [UInt8](try JSONSerialization.data(withJSONObject: ["keys": [key]]))
        do throws(TenantKeys.Failure) {
            _ = try await TenantKeys(json: json)
            return nil
        } catch { return error }
    }

    @Test func `every token gets the answer that the specification gives it`() async throws {
        let keys = try await tenantKeys(keys)
        let vaultID = try VaultID(Hex.decode(vectors.vault))
        let verifier = TokenVerifier(vaultID: vaultID)
        var goodCount = 0
        for each in vectors.cases {
            var refusal: String?
            do {
                let name = try verifier.verify(
                    Array(each.token.utf8), keys: keys, wallSeconds: vectors.nowSeconds)
                #expect(name == (try AccountName(tenant: "chat", account: "alice")))
                goodCount += 1
            } catch { refusal = "\(error)" }
            #expect(refusal == each.refusal, "\(each.case)")
        }
        #expect(goodCount == 5)
    }

    @Test func `a key is taken for the algorithm that it says, if it fits, and for no other`() async throws {
        for (kid, algorithm) in [
            ("ed", "EdDSA"), ("p256", "ES256"), ("p384", "ES384"), ("rsa", "RS256"), ("pss", "PS256"),
        ] {
            #expect(try await failure(kid) { _ in } == nil)
            for other in ["EdDSA", "ES256", "ES384", "RS256", "PS256", "HS256", "none", "RS512", ""]
            where other != algorithm {
                let isRSA = algorithm.hasSuffix("S256") && algorithm.first != "E" && ["RS256", "PS256"].contains(other)
                let found = try await failure(kid) { $0["alg"] = other }
                #expect((found == nil) == isRSA, "\(kid) as \(other)")
            }
            #expect(try await failure(kid) { $0["alg"] = nil } == .algorithm(keyID: kid))
            #expect(try await failure(kid) { $0["use"] = "enc" } == .notForSignatures(keyID: kid))
            #expect(try await failure(kid) { $0["key_ops"] = ["encrypt"] } == .notForSignatures(keyID: kid))
            #expect(try await failure(kid) { $0["d"] = "AQAB" } == .privateKey(keyID: kid))
        }
        #expect(try await failure("p256") { $0["crv"] = "P-384" } == .algorithm(keyID: "p256"))
        #expect(try await failure("p256") { $0["x"] = $0["y"] } != nil)
        #expect(try await failure("ed") { $0["crv"] = "X25519" } != nil)
        #expect(try await failure("rsa") { $0["p"] = "AQAB" } == .privateKey(keyID: "rsa"))
    }

    @Test func `RSA keys that are too small, too large or odd are refused`() async throws {
        let modulus = try #require(keys.first { $0["kid"] as? String == "rsa" }?["n"] as? String)
        let bytes = try #require(Base64URL.decode(modulus[...]))
        func number(_ bytes: some Sequence<UInt8>) -> String { Base64URL.encode(Array(bytes)) }
        for n in [
            number(bytes.prefix(128)), number([0x7f] + bytes.dropFirst()), number(bytes + bytes + [1]),
            number([0] + bytes), "",
        ] { #expect(try await failure("rsa") { $0["n"] = n } == .rsaSize(keyID: "rsa")) }
        for e in ["AQ", "Aw", number([1, 0, 0]), number([0xff] + Array(repeating: 0xff, count: 255)), ""] {
            #expect(try await failure("rsa") { $0["e"] = e } == .rsaSize(keyID: "rsa"))
        }
    }
}
