import Foundation
package import Primitives

/// One sign-in through a browser on this machine: where the browser goes, and what it must bring back (RFC 8252, with RFC 7636's
/// proof that who began it is who ends it).
package struct GoogleSignIn: Sendable {
    package let client: GoogleClient
    let verifier: SecretBytes
    /// Without it nobody's answer is taken.
    private let state: SecretBytes
    /// `http://127.0.0.1:PORT`
    let redirect: String
    private let scope: String
    private let endpoints: GoogleEndpoints

    package init(
        _ client: GoogleClient, scope: String, port: UInt16, endpoints: GoogleEndpoints,
        using generator: inout some RandomNumberGenerator
    ) {
        self.client = client
        self.scope = scope
        self.endpoints = endpoints
        redirect = "http://127.0.0.1:\(port)"
        verifier = Self.word(using: &generator)
        state = Self.word(using: &generator)
    }

    /// 32 random bytes in base64url.
    private static func word(using generator: inout some RandomNumberGenerator) -> SecretBytes {
        SecretBytes(copying: Array(base64URL(generator.bytes(32)).utf8))
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// Where the browser goes.
    package var address: String {
        // A new refresh token comes only with consent.
        return endpoints.consent + "?"
            + GoogleOAuth.form([
                ("client_id", client.id), ("redirect_uri", redirect), ("response_type", "code"), ("scope", scope),
                ("access_type", "offline"), ("prompt", "consent"), ("code_challenge", Self.challenge(of: verifier)),
                ("code_challenge_method", "S256"), ("state", state.text),
            ])
    }

    /// RFC 7636, section 4.2: S256.
    package static func challenge(of verifier: SecretBytes) -> String { verifier.withBytes { base64URL(sha256($0)) } }

    package enum Answer: Equatable, Sendable {
        case code(String)
        /// The person, or Google, said no: its word.
        case refused(String)
        /// Somebody else's, or none.
        case foreign
    }

    /// - Parameter target: of the request that the browser makes: `/?state=…&code=…`.
    package func answer(in target: String) -> Answer {
        guard target.hasPrefix("/?") else { return .foreign }
        var fields: [String: String] = [:]
        for item in target.dropFirst(2).split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let value = PercentEncoding.decoded(parts[1], plusIsSpace: true),
                fields.updateValue(value, forKey: String(parts[0])) == nil
            else { return .foreign }
        }
        guard let given = fields["state"], SecretBytes(copying: Array(given.utf8)).isEqual(to: state)
        else { return .foreign }
        if let error = fields["error"] { return .refused(DriveErrors.isWord(error) ? error : "error") }
        guard let code = fields["code"], !code.isEmpty else { return .foreign }
        return .code(code)
    }
}
