package import Primitives

/// A person's own OAuth client, from Google's console.
package struct GoogleClient: Sendable {
    /// Public: it stands in the browser's address line.
    package let id: String
    package let secret: SecretBytes

    /// What a person allows belongs to the project, with all its clients: the number before the first dash.
    package static func project(ofClient id: String) -> String {
        let number = id.prefix { $0 != "-" }
        return !number.isEmpty && number.allSatisfy { $0.isASCII && $0.isNumber } ? String(number) : id
    }

    package init?(id: String, secret: SecretBytes) {
        let isWord = secret.withBytes { $0.allSatisfy { (0x21...0x7e).contains($0) } }
        guard (1...256).contains(id.utf8.count), id.utf8.allSatisfy(PercentEncoding.isUnreserved),
            (1...256).contains(secret.count), isWord
        else { return nil }
        self.id = id
        self.secret = secret
    }
}

/// What a person allowed a client to do, until they take it back.
package struct GoogleGrant: Sendable {
    package let client: GoogleClient
    package let refreshToken: SecretBytes

    package init(client: GoogleClient, refreshToken: SecretBytes) {
        self.client = client
        self.refreshToken = refreshToken
    }

    /// What is kept of it, on one line; the client's id is kept beside it, in clear.
    package func kept() -> SecretBytes {
        var bytes = client.secret.withBytes { Array($0) } + [Self.separator] + refreshToken.withBytes { Array($0) }
        return SecretBytes(wiping: &bytes)
    }

    /// - Parameter kept: by an earlier run; nil for anything else.
    package init?(clientID: String, kept: SecretBytes) {
        var parts = kept.withBytes {
            $0.split(separator: Self.separator, omittingEmptySubsequences: false).map { Array($0) }
        }
        defer { for index in parts.indices { parts[index].wipe() } }
        guard parts.count == 2, !parts[1].isEmpty,
            let client = GoogleClient(id: clientID, secret: SecretBytes(copying: parts[0]))
        else { return nil }
        self.init(client: client, refreshToken: SecretBytes(copying: parts[1]))
    }

    /// Neither secret has spaces: both are sent in forms as words.
    private static let separator = UInt8(ascii: " ")

    package func renewed(_ token: SecretBytes) -> GoogleGrant { GoogleGrant(client: client, refreshToken: token) }
}
