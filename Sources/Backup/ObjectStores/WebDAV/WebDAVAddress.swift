/// Where a folder on a WebDAV server lies: `webdav:https://HOST[:PORT]/PATH`, without anything secret.
package struct WebDAVAddress: Equatable, Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        case url(StoreURL.Malformed)
        /// An empty part, `.` or `..`, a slash or a control character in a part, or a `%` that encodes nothing.
        case badPath
        case hasOptions
    }

    package static let scheme = "webdav:"
    private static let pathBytesMax = 1_024

    /// `https://HOST[:PORT]`
    package let origin: String
    /// Decoded.
    let folders: [String]

    /// - Parameter text: the path as people write it or as a server shows it, percent-encoded or not.
    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .url(.notAnAddress) }
        let url: StoreURL
        do { url = try StoreURL(text.dropFirst(Self.scheme.count)) } catch { throw .url(error) }
        guard url.query == nil else { throw .hasOptions }
        var parts = url.parts
        if parts.last == "" { parts.removeLast() }
        var folders: [String] = []
        for part in parts {
            guard let folder = PercentEncoding.decoded(part), Self.isName(folder) else { throw .badPath }
            folders.append(folder)
        }
        guard parts.joined(separator: "/").utf8.count <= Self.pathBytesMax else { throw .badPath }
        self.origin = url.origin
        self.folders = folders
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".."
            && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && $0 != "/" && $0 != "\\" }
    }

    /// One text for one place.
    package var text: String { Self.scheme + origin + Self.path(folders) }

    /// The place and every folder above it, for whose sign-in it may be used, the place first.
    package var accounts: [String] {
        (0...folders.count).reversed().map { Self.scheme + origin + Self.path(folders.prefix($0)) }
    }

    /// - Parameter name: of what lies in the folder, with `/` between folders and, for a folder, at its end; empty for the folder itself.
    func url(_ name: String) -> String {
        "\(origin)\(Self.path(folders))/\(name.split(separator: "/").map { PercentEncoding.encoded(String($0)) }.joined(separator: "/"))"
            + (name.hasSuffix("/") ? "/" : "")
    }

    /// The folder that so many levels of it make: 0 is the server's root.
    func ancestorURL(_ depth: Int) -> String {
        "\(origin)\(Self.path(folders.prefix(depth)))/"
    }

    private static func path(_ folders: some Sequence<String>) -> String {
        folders.map { "/\(PercentEncoding.encoded($0))" }.joined()
    }
}
