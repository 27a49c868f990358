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
    }

    private struct Key: Sendable {
        let id: String
        let algorithmName: String
        let algorithm: any JWTAlgorithm
    }

    private static let algorithmNames = ["EdDSA", "ES256", "ES384", "RS256", "PS256"]

    private let keys: [Key]

    /// Reads a JWK set (RFC 7517 section 5).
    package init(json: [UInt8]) async throws(Failure) {
        guard let set = try? JSONDecoder().decode(JWKS.self, from: Data(json)) else { throw .notAKeySet }
        guard !set.keys.isEmpty else { throw .noKeys }
        var keys: [Key] = []
        for key in set.keys {
            let made = try await Self.key(key)
            guard !keys.contains(where: { $0.id == made.id }) else { throw .keyID }
            keys.append(made)
        }
        self.keys = keys
    }

    private static func key(_ jwk: JWK) async throws(Failure) -> Key {
        guard let id = jwk.keyIdentifier, !id.string.isEmpty else { throw .keyID }
        guard jwk.privateExponent == nil else { throw .privateKey(keyID: id.string) }
        guard let name = jwk.algorithm?.rawValue, algorithmNames.contains(name) else {
            throw .algorithm(keyID: id.string)
        }
        do {
            let algorithm = try await JWTKeyCollection().add(jwk: jwk).getKey(for: id)
            return Key(id: id.string, algorithmName: name, algorithm: algorithm)
        } catch {
            throw .algorithm(keyID: id.string)
        }
    }

    /// Whether the key with this id made the signature, with the algorithm that it was registered for.
    func isValid(_ signature: [UInt8], over signed: [UInt8], keyID: String?, algorithmName: String) -> Bool {
        let candidates = keys.filter { key in keyID.map { $0 == key.id } ?? (keys.count == 1) }
        guard let key = candidates.first, key.algorithmName == algorithmName else { return false }
        return (try? key.algorithm.verify(signature, signs: signed)) ?? false
    }
}
