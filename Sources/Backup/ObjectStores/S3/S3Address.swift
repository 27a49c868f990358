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

        fileprivate init(_ error: StoreURL.Malformed) {
            switch error {
            case .notAnAddress: self = .notAnAddress
            case .hasCredentials: self = .hasCredentials
            case .notEncrypted: self = .notEncrypted
            }
        }
    }

    package static let scheme = "s3:"
    private static let defaultRegion = "us-east-1"

    private let transport: String
    private let host: String
    package let bucket: String
    /// Without `/` at either end; may be empty.
    package let prefix: String
    package let region: String
    package let style: Style
    private let hasOwnStyle: Bool

    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .notAnAddress }
        // No bucket and no prefix has such a character; a secret before it may have slashes.
        guard !text.prefix(while: { $0 != "?" }).contains("@") else { throw .hasCredentials }
        let url: StoreURL
        do { url = try StoreURL(text.dropFirst(Self.scheme.count)) } catch { throw Malformed(error) }
        (transport, host) = (url.transport, url.host)
        guard let bucket = url.parts.first, !bucket.isEmpty else { throw .noBucket }
        self.bucket = bucket
        guard Self.isBucket(bucket) else { throw .badBucket }
        prefix = try Self.prefix(Array(url.parts.dropFirst()))
        let options = try Self.options(url.query ?? "")
        region = options.region ?? Self.region(of: host) ?? Self.defaultRegion
        // A certificate for *.HOST does not cover a bucket's name with dots.
        let usual: Style = host.hasSuffix(".amazonaws.com") && !bucket.contains(".") ? .host : .path
        style = options.style ?? usual
        // The bucket's name before that of this machine is another machine's, and an address has no names before it.
        guard style == .path || (transport == "https" && host.contains { $0.isLetter } && !host.hasPrefix("[")) else {
            throw .unknownOption("style")
        }
        hasOwnStyle = style != usual
    }

    /// One text for one place.
    package var text: String {
        var text = "\(Self.scheme)\(account)"
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

    func requestURL(_ path: String, query: String) -> String {
        "\(transport)://\(requestHost)\(path)" + (query.isEmpty ? "" : "?\(query)")
    }

    // MARK: Parts

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
            guard !part.isEmpty, part != ".", part != "..", part.utf8.allSatisfy(PercentEncoding.isUnreserved)
            else { throw .badPrefix }
        }
        let prefix = parts.joined(separator: "/")
        guard prefix.utf8.count <= 512 else { throw .badPrefix }
        return prefix
    }

    private static func options(_ query: String) throws(Malformed) -> (region: String?, style: Style?) {
        var region: String?
        var style: Style?
        for option in query.split(separator: "&") {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? String(parts[1]) : ""
            switch parts[0] {
            case "region" where region == nil && !value.isEmpty && value.utf8.allSatisfy(PercentEncoding.isUnreserved):
                region = value
            case "style" where style == nil && Style(rawValue: value) != nil: style = Style(rawValue: value)
            // The name alone, if it is a word: somebody may have put a key there.
            default:
                let isWord = parts[0].utf8.count <= 12 && parts[0].utf8.allSatisfy { (0x61...0x7a).contains($0) }
                throw .unknownOption(isWord ? String(parts[0]) : "of another form")
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

    private static func isSmallLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
