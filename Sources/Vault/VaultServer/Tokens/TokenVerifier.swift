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
    private let refused: @Sendable (TokenRefusal, String?) -> Void
    private let keys: @Sendable (String) async throws -> TenantKeys?

    /// `keys` gives the keys of a registered tenant, and nil for others. `refused` is told of every token that opened
    /// nothing, with the tenant if it is a registered one.
    package init(
        vaultID: VaultID, refused: @escaping @Sendable (TokenRefusal, String?) -> Void = { _, _ in },
        keys: @escaping @Sendable (String) async throws -> TenantKeys?
    ) {
        audience = vaultID.hex
        self.refused = refused
        self.keys = keys
    }

    private struct Header: Decodable {
        var alg: String
        var kid: String?
        /// Extensions that must be understood; none are.
        var crit: [String]?
    }

    private struct Claims: Decodable {
        var iss: String
        var sub: String
        var aud: Audience
        var exp: Double
        var nbf: Double?
    }

    private enum Audience: Decodable {
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

    /// `wallSeconds` is the wall clock's time. Throws `TokenRefusal`, or what the look-up of keys throws.
    package func verify(_ token: [UInt8], wallSeconds: UInt64) async throws -> AccountName {
        var tenant: String?
        do { return try await verify(token, wallSeconds: wallSeconds, registered: &tenant) } catch {
            if let refusal = error as? TokenRefusal { refused(refusal, tenant) }
            throw error
        }
    }

    private func verify(
        _ token: [UInt8], wallSeconds: UInt64, registered tenant: inout String?
    ) async throws -> AccountName {
        guard Limits.tokenBytes.contains(token.count), let text = String(validating: token, as: UTF8.self) else {
            throw TokenRefusal.malformed
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard
            parts.count == 3,
            let header = Self.decode(Header.self, parts[0]), header.crit == nil,
            let claims = Self.decode(Claims.self, parts[1]),
            let signature = Base64URL.decode(parts[2]),
            let name = try? AccountName(tenant: claims.iss, account: claims.sub)
        else { throw TokenRefusal.malformed }
        guard let keys = try await keys(name.tenant) else { throw TokenRefusal.unknownTenant }
        tenant = name.tenant
        guard
            keys.isValid(
                signature, over: Array("\(parts[0]).\(parts[1])".utf8), keyID: header.kid, algorithmName: header.alg)
        else { throw TokenRefusal.badSignature }
        guard claims.aud.isExactly(audience) else { throw TokenRefusal.wrongVault }
        try Self.check(claims, wallSeconds: Double(wallSeconds))
        return name
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
