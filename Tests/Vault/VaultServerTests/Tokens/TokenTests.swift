import ByteCoding
import Foundation
import JWTKit
import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

extension TokenVerifier {
    /// As a vault does it that serves one tenant.
    func verify(
        _ token: [UInt8], tenant: String = "chat", keys: TenantKeys, wallSeconds: UInt64
    ) throws(TokenRefusal) -> AccountName {
        let claimed = try Self.read(token)
        guard claimed.name.tenant == tenant else { throw .unknownTenant }
        return try check(claimed, keys: keys, wallSeconds: wallSeconds)
    }
}

@Suite struct TokenTests {
    static let now: UInt64 = 1_800_000_000
    private let issuer: TokenIssuer
    private let vaultID: VaultID
    private let keys: TenantKeys

    init() async throws {
        var generator = SystemRandomNumberGenerator()
        issuer = .random(using: &generator)
        vaultID = .random(using: &generator)
        keys = try await TenantKeys(json: issuer.keySet)
    }

    private func verify(_ token: [UInt8]) throws(TokenRefusal) -> AccountName {
        try TokenVerifier(vaultID: vaultID).verify(token, keys: keys, wallSeconds: Self.now)
    }

    private var claims: [String: Any] {
        ["iss": "chat", "sub": "alice", "aud": vaultID.hex, "exp": Self.now + 3600]
    }

    private func header(_ extra: String = "") throws -> String {
        let key = try #require(
            try JSONSerialization.jsonObject(with: Data(issuer.keySet)) as? [String: [[String: String]]])
        let keyID = try #require(key["keys"]?.first?["kid"])
        return #"{"alg":"EdDSA","kid":"\#(keyID)"\#(extra)}"#
    }

    private func refusal(_ token: String) -> TokenRefusal? {
        do {
            _ = try verify(Array(token.utf8))
            return nil
        } catch { return error }
    }

    private func refusal(changing key: String, to value: Any?) throws -> TokenRefusal? {
        var claims = claims
        claims[key] = value
        return refusal(issuer.signed(header: try header(), claims: claims))
    }

    @Test func `a tenant's token names its account`() async throws {
        let token = issuer.token(
            tenant: "chat", account: "alice", vaultID: vaultID, issuedSeconds: Self.now, lifetimeSeconds: 3600)
        let name = try verify(Array(token.utf8))
        #expect(name == (try AccountName(tenant: "chat", account: "alice")))
        #expect(try refusal(changing: "aud", to: [vaultID.hex]) == nil)
    }

    @Test func `a token for another vault, for several or for none is refused`() async throws {
        var generator = SystemRandomNumberGenerator()
        let other = VaultID.random(using: &generator).hex
        #expect(try refusal(changing: "aud", to: other) == .wrongVault)
        #expect(try refusal(changing: "aud", to: [vaultID.hex, other]) == .wrongVault)
        #expect(try refusal(changing: "aud", to: [String]()) == .wrongVault)
        #expect(try refusal(changing: "aud", to: vaultID.hex.uppercased()) == .wrongVault)
        #expect(try refusal(changing: "aud", to: nil) == .malformed)
    }

    @Test func `a token is good for a day at most, and says until when`() async throws {
        #expect(try refusal(changing: "exp", to: Self.now) == .expired)
        #expect(try refusal(changing: "exp", to: Self.now - 1) == .expired)
        #expect(try refusal(changing: "exp", to: -1) == .expired)
        #expect(try refusal(changing: "exp", to: Self.now + 24 * 3600) == nil)
        #expect(try refusal(changing: "exp", to: Self.now + 25 * 3600) == .outsideLifetime)
        #expect(try refusal(changing: "exp", to: nil) == .malformed)
        #expect(try refusal(changing: "exp", to: "tomorrow") == .malformed)
        #expect(try refusal(changing: "nbf", to: Self.now + 3600) == .outsideLifetime)
    }

    @Test func `another tenant, another key and another account's signature are refused`() async throws {
        #expect(try refusal(changing: "iss", to: "other") == .unknownTenant)
        #expect(try refusal(changing: "sub", to: "") == .malformed)
        #expect(try refusal(changing: "sub", to: String(repeating: "a", count: 129)) == .malformed)
        var generator = SystemRandomNumberGenerator()
        let stranger = TokenIssuer.random(using: &generator)
        #expect(refusal(stranger.signed(header: try header(), claims: claims)) == .badSignature)
        let good = issuer.signed(header: try header(), claims: claims).split(separator: ".")
        let other = issuer.signed(header: try header(), claims: claims.merging(["sub": "bob"]) { $1 })
            .split(separator: ".")
        #expect(refusal("\(good[0]).\(other[1]).\(good[2])") == .badSignature)
    }

    @Test func `algorithm none and algorithms that the key was not registered for are refused`() async throws {
        for algorithm in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
            let header = #"{"alg":"\#(algorithm)"}"#
            #expect(refusal(issuer.signed(header: header, claims: claims)) == .badSignature)
            let unsigned = issuer.signed(header: header, claims: claims).split(separator: ".")
            #expect(refusal("\(unsigned[0]).\(unsigned[1]).") == .badSignature)
        }
        // The public key as the secret of an HMAC.
        let parts = issuer.signed(header: #"{"alg":"HS256"}"#, claims: claims).split(separator: ".")
        let key = SecretBytes(copying: issuer.keySet)
        let tag = Data(hmacSHA256(Array("\(parts[0]).\(parts[1])".utf8), key: key)).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        #expect(refusal("\(parts[0]).\(parts[1]).\(tag)") == .badSignature)
    }

    @Test func `keys that a token brings or points to are not looked at`() async throws {
        var generator = SystemRandomNumberGenerator()
        let stranger = TokenIssuer.random(using: &generator)
        let set = try #require(
            try JSONSerialization.jsonObject(with: Data(stranger.keySet)) as? [String: [[String: String]]])
        let key = try #require(set["keys"]?.first)
        let json = String(decoding: try JSONSerialization.data(withJSONObject: key), as: UTF8.self)
        for extra in [
            #","jwk":\#(json)"#, #","jku":"http://localhost/keys""#, #","x5u":"http://localhost/cert""#,
        ] {
            #expect(refusal(stranger.signed(header: try header(extra), claims: claims)) == .badSignature)
            // They do no harm beside a good signature either.
            #expect(refusal(issuer.signed(header: try header(extra), claims: claims)) == nil)
        }
        let foreign = #"{"alg":"EdDSA","kid":"\#(key["kid"] ?? "")"}"#
        #expect(refusal(stranger.signed(header: foreign, claims: claims)) == .badSignature)
        #expect(refusal(issuer.signed(header: try header(#","crit":["b64"]"#), claims: claims)) == .malformed)
    }

    @Test func `what is not a token is refused, and a token is 1,536 bytes at most`() async throws {
        let good = issuer.signed(header: try header(), claims: claims)
        for text in ["", ".", "..", "...", "a.b.c", good + ".", "." + good, good + "=", good + " ", "{}.{}.{}"] {
            #expect(refusal(text) == .malformed, "\(text.prefix(10))")
        }
        let long = issuer.signed(
            header: try header(), claims: claims.merging(["pad": String(repeating: "a", count: 1200)]) { $1 })
        #expect(long.utf8.count > 1536)
        #expect(refusal(long) == .malformed)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            #expect(throws: TokenRefusal.self) {
                try verify(generator.bytes(Int.random(in: 0...2000)))
            }
        }
    }

    @Test func `key sets with private, symmetric, unnamed or repeated keys are not registered`() async throws {
        let set = String(decoding: issuer.keySet, as: UTF8.self)
        let privateKey = issuer.privateKeyFile.withBytes { String(decoding: $0, as: UTF8.self) }
        let cases: [(String, TenantKeys.Failure)] = [
            ("{}", .notAKeySet), (#"{"keys":[]}"#, .noKeys),
            (#"{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256","kid":"a"}]}"#, .notAKeySet),
            (set.replacing(#""kid""#, with: #""key""#), .keyID),
        ]
        for (json, failure) in cases {
            await #expect(throws: failure) { try await TenantKeys(json: Array(json.utf8)) }
        }
        await #expect(throws: TenantKeys.Failure.self) {
            try await TenantKeys(json: Array(#"{"keys":[\#(privateKey)]}"#.utf8))
        }
        let repeated = set.replacing(#"{"keys":["#, with: "").replacing("]}", with: "")
        await #expect(throws: TenantKeys.Failure.keyID) {
            try await TenantKeys(json: Array(#"{"keys":[\#(repeated),\#(repeated)]}"#.utf8))
        }
        await #expect(throws: TenantKeys.Failure.self) {
            try await TenantKeys(json: Array(set.replacing(#""alg":"EdDSA""#, with: #""alg":"ES256""#).utf8))
        }
    }

    @Test func `an issuer's key file reads back, and a bent one is refused`() throws {
        let bytes = issuer.privateKeyFile.withBytes { Array($0) }
        #expect(try TokenIssuer(privateKeyFile: bytes).keySet == issuer.keySet)
        let text = String(decoding: bytes, as: UTF8.self)
        for bent in ["", "{}", text.replacing("Ed25519", with: "X25519"), text.replacing(#""x":""#, with: #""x":"A"#)] {
            #expect(throws: TokenIssuer.Malformed.self) { try TokenIssuer(privateKeyFile: Array(bent.utf8)) }
        }
    }

    @Test func `the vault says which of these it was, sealed, and charges nothing`() async throws {
        let vault = try await TestVault()
        var client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let guess = RecoveryProtocol.Operation.evaluate(TestClient.guess(registration, serial: serial))
        func token(vaultID: VaultID, issued: UInt64) -> [UInt8] {
            Array(
                vault.issuer.token(
                    tenant: TestVault.tenant, account: "alice", vaultID: vaultID, issuedSeconds: issued,
                    lifetimeSeconds: 60
                ).utf8)
        }
        var generator = SystemRandomNumberGenerator()
        let wall = vault.clock.now.wallSeconds
        for (bytes, expected) in [
            (token(vaultID: .random(using: &generator), issued: wall), Refusal.wrongVault),
            (token(vaultID: vault.vaultID, issued: wall - 61), .tokenExpired),
            (Array("nonsense".utf8), .unauthorised), ([], .unauthorised),
        ] {
            client.token = bytes
            #expect(try await client.ask(guess) == .refused(expected))
        }
        client.token = vault.token("bob")
        #expect(try await client.ask(guess) == .refused(.notRegistered))
        client.token = vault.token("alice")
        #expect(try await client.status().attemptsLeft == 10)
    }
}
