import ByteCoding
import Foundation
package import RecoveryProtocol

/// Why a token opens nothing here. None of the cases says whether an account exists.
package enum TokenRefusal: Error, Equatable {
    case malformed
    /// Not one of the tenants that this vault serves.
    case unknownTenant
    /// Wrong signature, unknown key, another algorithm than the key's.
    case badSignature
    /// Made for another vault, or for several: a token good at two vaults would let one bad vault burn the person's
    /// attempts at the other.
    case wrongVault
    case expired
    /// Not valid yet, or for longer than a day: one of two clocks is wrong, or the app's.
    case outsideLifetime
}

/// Checks tenants' tokens (JWT, RFC 7519, in compact form). `jku`, `x5u`, `jwk` and `x5c` are not read.
package struct TokenVerifier: Sendable {
    package static let lifetimeSecondsMax: UInt64 = 24 * 3600
    /// How far the tenant's clock may be off.
    static let skewSeconds: UInt64 = 60

    private let audience: String

    package init(vaultID: VaultID) { audience = vaultID.hex }

    fileprivate struct Header: Decodable {
        var alg: String
        var kid: String?
        /// Extensions that must be understood; none are.
        var crit: [String]?
    }

    fileprivate struct Claims: Decodable {
        var iss: String
        var sub: String
        var aud: Audience
        var exp: Double
        var nbf: Double?
    }

    fileprivate enum Audience: Decodable {
        case one(String)
        case many([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let one = try? container.decode(String.self) {
                self = .one(one)
            } else {
                self = .many(try container.decode([String].self))
            }
        }

        func isExactly(_ audience: String) -> Bool {
            switch self {
            case .one(let one): one == audience
            case .many(let many): many == [audience]
            }
        }
    }

    /// What a token says, before anything of it is believed but whose keys are to be asked.
    package struct Claimed: Sendable {
        package let name: AccountName
        fileprivate let header: Header
        fileprivate let claims: Claims
        fileprivate let signature: [UInt8]
        fileprivate let signed: [UInt8]
    }

    package static func read(_ token: [UInt8]) throws(TokenRefusal) -> Claimed {
        guard Limits.tokenBytes.contains(token.count), let text = String(validating: token, as: UTF8.self) else {
            throw .malformed
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard
            parts.count == 3,
            let header = decode(Header.self, parts[0]), header.crit == nil,
            let claims = decode(Claims.self, parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let name = try? AccountName(tenant: claims.iss, account: claims.sub)
        else { throw .malformed }
        return Claimed(
            name: name, header: header, claims: claims, signature: signature,
            signed: Array("\(parts[0]).\(parts[1])".utf8))
    }

    /// `keys` are those of the tenant that the token names. `wallSeconds` is the wall clock's time.
    package func check(
        _ claimed: Claimed, keys: TenantKeys, wallSeconds: UInt64
    ) throws(TokenRefusal) -> AccountName {
        guard
            keys.isValid(
                claimed.signature, over: claimed.signed, keyID: claimed.header.kid, algorithmName: claimed.header.alg)
        else { throw .badSignature }
        guard claimed.claims.aud.isExactly(audience) else { throw .wrongVault }
        try Self.check(claimed.claims, wallSeconds: Double(wallSeconds))
        return claimed.name
    }

    private static func decode<Value: Decodable>(_: Value.Type, _ part: Substring) -> Value? {
        Base64URL.decode(part).flatMap { try? JSONDecoder().decode(Value.self, from: Data($0)) }
    }

    private static func check(_ claims: Claims, wallSeconds now: Double) throws(TokenRefusal) {
        guard claims.exp.isFinite, claims.exp > now else { throw .expired }
        guard
            claims.exp <= now + Double(lifetimeSecondsMax + skewSeconds),
            (claims.nbf ?? 0) <= now + Double(skewSeconds)
        else { throw .outsideLifetime }
    }
}
