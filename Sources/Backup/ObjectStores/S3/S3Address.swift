/// Where a bucket lies: `s3:https://HOST[:PORT]/BUCKET[/PREFIX][?region=REGION][&style=path|host]`, without anything secret.
package struct S3Address: Equatable, Sendable {
    package enum Style: String, Sendable {
        /// The bucket is the first part of the path.
        case path
        /// The bucket is a part of the host's name, as AWS wants it.
        case host
    }

    package enum Malformed: Error, Equatable, Sendable {
        case notAnAddress
        /// There is a name or a key in it, which belongs nowhere where an address goes.
        case hasCredentials
        /// Not encrypted on its way, and not on this machine.
        case notEncrypted
        case noBucket
        case badBucket
        case badPrefix
        case unknownOption(String)
    }

    package static let scheme = "s3:"
    private static let defaultRegion = "us-east-1"

    /// `https` or `http`
    private let transport: String
    /// In small letters, with the port unless it is the usual one.
    package let host: String
    package let bucket: String
    /// Without `/` at either end; may be empty.
    package let prefix: String
    package let region: String
    package let style: Style
    private let hasOwnStyle: Bool

    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .notAnAddress }
        let url = text.dropFirst(Self.scheme.count)
        guard let mark = url.firstRange(of: "://") else { throw .notAnAddress }
        transport = url[..<mark.lowerBound].lowercased()
        guard transport == "https" || transport == "http", !url.contains("#") else { throw .notAnAddress }
        let halves = url[mark.upperBound...].split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = (halves.first ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let authority = parts.first, !authority.contains("@") else { throw .hasCredentials }
        host = try Self.host(authority, transport)
        guard transport == "https" || Self.isThisMachine(host) else { throw .notEncrypted }
        guard parts.count > 1, !parts[1].isEmpty else { throw .noBucket }
        bucket = parts[1]
        guard Self.isBucket(bucket) else { throw .badBucket }
        prefix = try Self.prefix(Array(parts.dropFirst(2)))
        let options = try Self.options(halves.count > 1 ? halves[1] : "")
        region = options.region ?? Self.region(of: host) ?? Self.defaultRegion
        // A certificate for *.HOST does not cover a bucket's name with dots.
        let usual: Style = host.hasSuffix(".amazonaws.com") && !bucket.contains(".") ? .host : .path
        style = options.style ?? usual
        hasOwnStyle = style != usual
    }

    /// One text for one place.
    package var text: String {
        var text = "\(Self.scheme)\(transport)://\(host)/\(bucket)"
        if !prefix.isEmpty { text += "/\(prefix)" }
        var options: [String] = []
        if region != Self.region(of: host) ?? Self.defaultRegion { options.append("region=\(region)") }
        if hasOwnStyle { options.append("style=\(style.rawValue)") }
        return options.isEmpty ? text : "\(text)?\(options.joined(separator: "&"))"
    }

    /// What credentials belong to: every prefix of the bucket has the same.
    package var account: String { "\(transport)://\(host)/\(bucket)" }

    /// The name that is asked for, which is signed.
    var requestHost: String { style == .host ? "\(bucket).\(host)" : host }

    /// - Parameter name: of an object, without the prefix; empty for the bucket itself.
    func path(_ name: String) -> String {
        let key = name.isEmpty ? "" : "/\(key(name))"
        return style == .host ? (key.isEmpty ? "/" : key) : "/\(bucket)\(key)"
    }

    func key(_ name: String) -> String { prefix.isEmpty ? name : "\(prefix)/\(name)" }

    func url(_ path: String, query: String) -> String {
        "\(transport)://\(requestHost)\(path)" + (query.isEmpty ? "" : "?\(query)")
    }

    // MARK: Parts

    private static func host(_ authority: String, _ transport: String) throws(Malformed) -> String {
        let usualPort = transport == "https" ? ":443" : ":80"
        var host = authority.lowercased()
        if host.hasSuffix(usualPort) { host.removeLast(usualPort.count) }
        let name = withoutPort(host)
        let port = host.dropFirst(name.count)
        let isName = name.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
        let isIPv6 =
            name.hasPrefix("[") && name.hasSuffix("]")
            && name.dropFirst().dropLast().allSatisfy {
                $0.isHexDigit || $0 == ":" || $0 == "."
            }
        guard !name.isEmpty, isName || isIPv6, port.isEmpty || UInt16(port.dropFirst()) != nil
        else { throw .notAnAddress }
        return host
    }

    private static func withoutPort(_ host: String) -> String {
        if let end = host.firstIndex(of: "]") { return String(host[...end]) }
        return String(host.prefix { $0 != ":" })
    }

    private static func isThisMachine(_ host: String) -> Bool {
        let name = withoutPort(host)
        let numbers = name.split(separator: ".", omittingEmptySubsequences: false)
        let isLoopback = numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
        return name == "localhost" || name == "[::1]" || isLoopback
    }

    private static func isBucket(_ name: String) -> Bool {
        (3...63).contains(name.utf8.count) && !name.contains("..")
            && name.utf8.allSatisfy { isSmallLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
            && [name.utf8.first, name.utf8.last].allSatisfy { $0.map(isSmallLetterOrDigit) == true }
    }

    /// Only what every server takes, and no escape changes.
    private static func prefix(_ parts: [String]) throws(Malformed) -> String {
        var parts = parts
        if parts.last == "" { parts.removeLast() }
        for part in parts {
            guard !part.isEmpty, part != ".", part != "..", part.utf8.allSatisfy(SignatureV4.isUnreserved)
            else { throw .badPrefix }
        }
        let prefix = parts.joined(separator: "/")
        guard prefix.utf8.count <= 512 else { throw .badPrefix }
        return prefix
    }

    private static func options(_ query: Substring) throws(Malformed) -> (region: String?, style: Style?) {
        var region: String?
        var style: Style?
        for option in query.split(separator: "&") {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? String(parts[1]) : ""
            switch parts[0] {
            case "region" where !value.isEmpty && value.utf8.allSatisfy(SignatureV4.isUnreserved): region = value
            case "style" where Style(rawValue: value) != nil: style = Style(rawValue: value)
            // The name alone: somebody may have put a key there.
            default: throw .unknownOption(String(parts[0].prefix(20)))
            }
        }
        return (region, style)
    }

    /// `s3.eu-central-1.amazonaws.com`
    private static func region(of host: String) -> String? {
        let parts = host.split(separator: ".")
        guard parts.count == 4, parts[0] == "s3", parts[2] == "amazonaws", parts[3] == "com" else { return nil }
        return String(parts[1])
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isSmallLetterOrDigit(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func isSmallLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
