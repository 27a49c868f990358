import ByteCoding
import Foundation
package import Primitives
package import RecoveryProtocol

/// For self-hosters: makes the tokens that an app's own server would make.
package struct TokenIssuer: Sendable {
    /// The issuer's file is not one.
    package struct Malformed: Error, Equatable {}

    private struct PrivateKeyFile: Codable {
        var kty = "OKP"
        var crv = "Ed25519"
        var alg = "EdDSA"
        var kid: String
        var x: String
        var d: String
    }

    private let seed: SecretBytes
    private let key: SigningKey

    package init(seed: SecretBytes) {
        self.seed = seed
        key = SigningKey(seed: seed)
    }

    package static func random(using generator: inout some RandomNumberGenerator) -> TokenIssuer {
        TokenIssuer(seed: .random(SigningKey.seedBytes, using: &generator))
    }

    private var publicText: String { Base64URL.encode(key.verifyingKey.bytes) }
    private var keyID: String { Hex.encode(sha256(key.verifyingKey.bytes).prefix(8)) }

    /// A private JWK (RFC 8037 section 2), for a file that its owner alone may read.
    package var privateKeyFile: SecretBytes {
        let text = seed.withBytes { Base64URL.encode(Array($0)) }
        let json = #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"\#(keyID)","x":"\#(publicText)","d":"\#(text)"}"#
        return SecretBytes(copying: Array("\(json)\n".utf8))
    }

    package init(privateKeyFile: [UInt8]) throws(Malformed) {
        guard
            let file = try? JSONDecoder().decode(PrivateKeyFile.self, from: Data(privateKeyFile)),
            file.kty == "OKP", file.crv == "Ed25519", file.alg == "EdDSA",
            var seed = Base64URL.decode(file.d), seed.count == SigningKey.seedBytes
        else { throw Malformed() }
        self.init(seed: SecretBytes(wiping: &seed))
        guard file.x == publicText else { throw Malformed() }
    }

    /// The JWK set to give to every vault (`coffer-vault tenant add NAME --jwks FILE`).
    package var keySet: [UInt8] {
        let key = #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"\#(keyID)","x":"\#(publicText)"}"#
        return Array(#"{"keys":[\#(key)]}"#.utf8)
    }

    /// A token for one account at one vault.
    package func token(
        tenant: String, account: String, vaultID: VaultID, issuedSeconds: UInt64, lifetimeSeconds: UInt64
    ) -> String {
        let header = #"{"alg":"EdDSA","kid":"\#(keyID)","typ":"JWT"}"#
        let expires = issuedSeconds + min(lifetimeSeconds, TokenVerifier.lifetimeSecondsMax)
        let claims: [String: Any] = [
            "iss": tenant, "sub": account, "aud": vaultID.hex, "iat": issuedSeconds, "exp": expires,
        ]
        return signed(header: header, claims: claims)
    }

    /// Any header over any claims; for tests of what a verifier must refuse.
    package func signed(header: String, claims: [String: Any]) -> String {
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        let payload = (try? JSONSerialization.data(withJSONObject: claims, options: options)).map { [UInt8]($0) } ?? []
        let signed = "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(payload))"
        return "\(signed).\(Base64URL.encode(key.sign(Array(signed.utf8)).bytes))"
    }
}
