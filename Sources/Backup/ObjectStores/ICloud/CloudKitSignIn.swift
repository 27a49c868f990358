package import Primitives

/// What Apple's page gives to a person who has signed in.
package enum CloudKitSignIn {
    /// As Apple's own script for web pages takes it.
    private static let names: Set<String> = ["ckWebAuthToken", "ckSession"]

    /// - Parameter address: that the browser was sent to, or no more than its path and what follows.
    /// - Returns: the first token; nil if there is none in it, or if it is not clear which.
    package static func token(in address: String) -> SecretBytes? {
        guard let mark = address.firstIndex(where: { $0 == "?" || $0 == "#" }) else { return nil }
        var found: Set<String> = []
        for item in address[mark...].split(whereSeparator: { "?#&".contains($0) }) {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, names.contains(String(parts[0])) else { continue }
            guard let value = PercentEncoding.decoded(parts[1]) else { return nil }
            // No token has spaces: a `+` that was not escaped became one on its way.
            found.insert(value.replacing(" ", with: "+"))
        }
        guard found.count == 1, let token = found.first, CloudKitLine.isToken(token) else { return nil }
        return SecretBytes(copying: Array(token.utf8))
    }

    /// What CloudKit's console shows as an API token: letters and digits.
    package static func isAPIToken(_ token: SecretBytes) -> Bool {
        (16...128).contains(token.count)
            && token.withBytes { $0.allSatisfy { PercentEncoding.isUnreserved($0) } }
    }
}
