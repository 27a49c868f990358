/// Where a server is, and a path on it: `https://HOST[:PORT]/PATH[?QUERY]`. What could hold a secret, or send one in clear, is refused.
package struct StoreURL: Equatable, Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        case notAnAddress
        /// There is a name or a key in it, which belongs nowhere where an address goes.
        case hasCredentials
        /// Not encrypted on its way, and not on this machine.
        case notEncrypted
    }

    /// `https` or `http`
    package let transport: String
    /// In small letters, with the port unless it is the usual one.
    package let host: String
    /// What stands between the slashes behind the host, as it was written; empty parts included.
    package let parts: [String]
    /// What follows the `?`; nil without one.
    package let query: String?

    /// - Parameter text: behind the kind of store.
    package init(_ text: some StringProtocol) throws(Malformed) {
        guard let mark = text.firstRange(of: "://") else { throw .notAnAddress }
        transport = text[..<mark.lowerBound].lowercased()
        guard transport == "https" || transport == "http", !text.contains("#") else { throw .notAnAddress }
        let halves = String(text[mark.upperBound...]).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let all = (halves.first ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let authority = all.first, !authority.contains("@") else { throw .hasCredentials }
        host = try Self.host(authority, transport)
        guard transport == "https" || Self.isThisMachine(host) else { throw .notEncrypted }
        parts = Array(all.dropFirst())
        query = halves.count > 1 ? String(halves[1]) : nil
    }

    /// `https://HOST[:PORT]`
    package var origin: String { "\(transport)://\(host)" }

    private static func host(_ authority: String, _ transport: String) throws(Malformed) -> String {
        let usualPort = transport == "https" ? ":443" : ":80"
        var host = authority.lowercased()
        if host.hasSuffix(usualPort) { host.removeLast(usualPort.count) }
        let name = withoutPort(host)
        let port = host.dropFirst(name.count)
        guard isName(name) || isIPv6(name), port.isEmpty || isPort(port.dropFirst()) else { throw .notAnAddress }
        return host
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "~") && PercentEncoding.isUnreserved($0)
            }
    }

    private static func isIPv6(_ name: String) -> Bool {
        name.hasPrefix("[") && name.hasSuffix("]") && name.utf8.count > 2
            && name.dropFirst().dropLast().utf8.allSatisfy {
                $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") || Character(Unicode.Scalar($0)).isHexDigit
            }
    }

    private static func isPort(_ text: Substring) -> Bool {
        !text.hasPrefix("0") && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            && UInt16(text) != nil
    }

    private static func withoutPort(_ host: String) -> String {
        if let end = host.firstIndex(of: "]") { return String(host[...end]) }
        return String(host.prefix { $0 != ":" })
    }

    /// Whether it is `http://127.0.0.1:PORT` and no more: in numbers, so that nobody's list of names has a say.
    static func isPortOfThisMachine(_ text: String) -> Bool {
        let prefix = "http://127.0.0.1:"
        let port = text.dropFirst(prefix.count)
        return text.hasPrefix(prefix) && (1...5).contains(port.utf8.count)
            && port.utf8.allSatisfy { (0x30...0x39).contains($0) } && (UInt16(port) ?? 0) > 0
    }

    private static func isThisMachine(_ host: String) -> Bool {
        let name = withoutPort(host)
        let numbers = name.split(separator: ".", omittingEmptySubsequences: false)
        let isLoopback = numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
        return name == "localhost" || name == "[::1]" || isLoopback
    }
}
