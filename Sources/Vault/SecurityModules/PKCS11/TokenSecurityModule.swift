import CPKCS11
package import Primitives
package import VaultCore

/// The wrapping key lies in a PKCS #11 token, was made there, and cannot leave it.
///
/// A stolen disk, or a copy of the whole machine, does not open the data key. The vault itself holds the data key while it
/// runs: a general token cannot compute the OPRF.
package struct TokenSecurityModule: SecurityModule {
    private static let ivBytes = 12
    private static let tagBytes = 16
    private static let label = Array("coffer vault data key v1".utf8)

    private let token: Token
    private let id: TokenObjectID

    package init(_ token: Token, id: TokenObjectID) {
        self.token = token
        self.id = id
    }

    /// Makes the wrapping key in the token, and proves that the token keeps it to itself.
    package static func create(
        in token: Token, id: TokenObjectID, label: String
    ) throws(SecurityModuleError) -> TokenSecurityModule {
        do throws(TokenError) {
            try token.perform { session throws(TokenError) in
                guard try session.find(TokenObjects.key(id)).isEmpty else {
                    throw TokenError(.unfit, "It has a key of this id already, and nothing was changed. Try again.")
                }
                let key = try session.generateKey(TokenObjects.newKey(id, label: label))
                guard try session.value(CKA_SENSITIVE, of: key, bytesMax: 1) == [1],
                    try session.value(CKA_EXTRACTABLE, of: key, bytesMax: 1) == [0]
                else {
                    try session.destroy(key)
                    throw TokenError(
                        .unfit, "It would let the wrapping key out, so that was destroyed again. Take another token.")
                }
            }
        } catch { throw SecurityModuleError(error) }
        return TokenSecurityModule(token, id: id)
    }

    /// iv ‖ ciphertext ‖ tag, and proves that it opens again. The IV is random; a token that insists on one of its own (some
    /// do, by the rules of FIPS 140) puts that in its place.
    package func wrap(
        _ dataKey: SecretBytes, using generator: inout some RandomNumberGenerator
    ) throws(SecurityModuleError) -> [UInt8] {
        let drawn = generator.bytes(Self.ivBytes)
        let wrapped: [UInt8]
        do throws(TokenError) {
            wrapped = try token.perform { session throws(TokenError) in
                var iv = drawn
                let sealed = try session.seal(
                    dataKey, key: try key(session), iv: &iv, authenticating: authenticated)
                guard sealed.count == dataKey.count + Self.tagBytes, iv.count == Self.ivBytes else {
                    throw TokenError(
                        .unfit,
                        "Its AES-GCM answers \(sealed.count) bytes where the standard has \(dataKey.count + Self.tagBytes). Nothing was "
                            + "kept: take another token.")
                }
                return iv + sealed
            }
        } catch { throw SecurityModuleError(error) }
        guard try unwrap(wrapped).isEqual(to: dataKey) else {
            throw .unfit("\(token.name) does not open what it sealed. Nothing was kept: take another token.")
        }
        return wrapped
    }

    package func unwrap(_ wrapped: [UInt8]) throws(SecurityModuleError) -> SecretBytes {
        guard wrapped.count > Self.ivBytes + Self.tagBytes else { throw .refused }
        do throws(TokenError) {
            return try token.perform { session throws(TokenError) in
                try session.open(
                    Array(wrapped[Self.ivBytes...]), key: try key(session), iv: Array(wrapped[..<Self.ivBytes]),
                    authenticating: authenticated)
            }
        } catch { throw SecurityModuleError(error) }
    }

    /// Names the vault: what one wrapped opens for no other, should they ever have one key.
    private var authenticated: [UInt8] { Self.label + [0] + id.bytes }

    private func key(_ session: TokenSession) throws(TokenError) -> UInt {
        let keys = try session.find(TokenObjects.key(id))
        guard let key = keys.first else {
            throw TokenError(
                .missing,
                "The vault's wrapping key (id \(id)) is not in it: it was destroyed, or the token initialised anew. Without it "
                    + "nothing opens the vault's records; a new vault takes its place, and people's devices register anew."
            )
        }
        guard keys.count == 1 else {
            throw TokenError(
                .unfit, "It has \(keys.count) keys of the id \(id). Remove those that are not the vault's.")
        }
        return key
    }
}
