import ByteCoding
import Foundation
import JWTKit

/// A tenant's verification keys, as registered: what a token says about keys and algorithms is never followed.
package struct TenantKeys: Sendable {
    /// Why a key set cannot be registered.
    package enum Failure: Error, Equatable {
        case notAKeySet
        case noKeys
        /// Every key needs a `kid` of its own.
        case keyID
        /// Only these are accepted, and each key must say which: EdDSA, ES256, ES384, RS256, PS256. Symmetric keys
        /// would let every vault of the fleet make tokens for the others.
        case algorithm(keyID: String)
        /// The file holds a private key, which no vault should see.
        case privateKey(keyID: String)
        /// An RSA key of less than 2,048 bits can be factored; a larger one than 4,096, or an unusual exponent, lets a
        /// stranger's token cost the vault more than it costs him.
        case rsaSize(keyID: String)
        /// Its `use` or `key_ops` say that it is not for verifying signatures.
        case notForSignatures(keyID: String)
    }

    /// What JWTKit does not look at.
    private struct KeyFile: Decodable {
        var keys: [KeyFacts]
    }

    private struct KeyFacts: Decodable {
        var kty: String
        var crv: String?
        var use: String?
        var operations: [String]?
        var n: String?
        var e: String?
        var d: String?
        var p: String?
        var q: String?
        var k: String?

        private enum CodingKeys: String, CodingKey {
            case kty, crv, use, n, e, d, p, q, k
            case operations = "key_ops"
        }
    }

    private struct Key: Sendable {
        let id: String
        let algorithmName: String
        let algorithm: any JWTAlgorithm
    }

    /// The kind of key, and for some the curve, that an algorithm needs (RFC 7518 section 3.1, RFC 8037 section 3.1).
    private static let kinds: [String: (kty: String, crv: String?)] = [
        "EdDSA": ("OKP", "Ed25519"), "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "RS256": ("RSA", nil),
        "PS256": ("RSA", nil),
    ]
    private static let rsaBits = 2048...4096
    private static let rsaExponents: ClosedRange<UInt64> = 65_537...0xffff_ffff

    private let keys: [Key]

    /// Reads a JWK set (RFC 7517 section 5).
    package init(json: [UInt8]) async throws(Failure) {
        guard let set = try? JSONDecoder().decode(JWKS.self, from: Data(json)),
            let file = try? JSONDecoder().decode(KeyFile.self, from: Data(json)), file.keys.count == set.keys.count
        else { throw .notAKeySet }
        guard !set.keys.isEmpty else { throw .noKeys }
        var keys: [Key] = []
        for (key, facts) in zip(set.keys, file.keys) {
            let made = try await Self.key(key, facts)
            guard !keys.contains(where: { $0.id == made.id }) else { throw .keyID }
            keys.append(made)
        }
        self.keys = keys
    }

    /// The keys' ids, in the order of the set.
    package var keyIDs: [String] { keys.map(\.id) }

    private static func key(_ jwk: JWK, _ facts: KeyFacts) async throws(Failure) -> Key {
        guard let id = jwk.keyIdentifier, !id.string.isEmpty else { throw .keyID }
        guard [facts.d, facts.p, facts.q, facts.k].allSatisfy({ $0 == nil }) else {
            throw .privateKey(keyID: id.string)
        }
        guard let name = jwk.algorithm?.rawValue, let kind = kinds[name], kind.kty == facts.kty,
            kind.crv == facts.crv
        else { throw .algorithm(keyID: id.string) }
        guard facts.use ?? "sig" == "sig", facts.operations?.contains("verify") ?? true else {
            throw .notForSignatures(keyID: id.string)
        }
        if facts.kty == "RSA", !isSound(facts) { throw .rsaSize(keyID: id.string) }
        do {
            let algorithm = try await JWTKeyCollection().add(jwk: jwk).getKey(for: id)
            return Key(id: id.string, algorithmName: name, algorithm: algorithm)
        } catch {
            throw .algorithm(keyID: id.string)
        }
    }

    private static func isSound(_ facts: KeyFacts) -> Bool {
        guard let modulus = facts.n.flatMap({ Base64URL.decode($0[...]) }), let top = modulus.first, top != 0,
            let exponent = facts.e.flatMap({ Base64URL.decode($0[...]) }), exponent.count <= 8
        else { return false }
        let bits = modulus.count * 8 - top.leadingZeroBitCount
        let number = exponent.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return rsaBits.contains(bits) && rsaExponents.contains(number) && number % 2 == 1
    }

    /// Whether the key with this id made the signature, with the algorithm that it was registered for.
    func isValid(_ signature: [UInt8], over signed: [UInt8], keyID: String?, algorithmName: String) -> Bool {
        let candidates = keys.filter { key in keyID.map { $0 == key.id } ?? (keys.count == 1) }
        guard let key = candidates.first, key.algorithmName == algorithmName else { return false }
        return (try? key.algorithm.verify(signature, signs: signed)) ?? false
    }
}
