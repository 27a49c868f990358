/// A place in a remote of the person's own rclone: `rclone:REMOTE:PATH`. How to get there, and every secret for it, stands in rclone's
/// own configuration.
package struct RcloneAddress: Equatable, Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        case notAnAddress
        /// Options behind the remote's name or kind (rclone's connection strings): a password may stand there.
        case hasOptions
        case badRemote
        case badPath
    }

    package static let scheme = "rclone:"
    private static let pathBytesMax = 512

    /// `box`, or `:local` for a remote that has a kind alone, which rclone makes as it goes.
    package let remote: String
    /// Without `/` at its end; may be empty.
    package let path: String

    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .notAnAddress }
        let rest = text.dropFirst(Self.scheme.count)
        let name = rest.drop { $0 == ":" }.prefix { $0 != ":" }
        // Options come before the second colon; a path may have commas.
        guard !name.contains(","), !name.contains("=") else { throw .hasOptions }
        guard name.endIndex < rest.endIndex, rest.startIndex == name.startIndex || rest.hasPrefix(":\(name):") else {
            throw .notAnAddress
        }
        guard Self.isRemote(name) else { throw .badRemote }
        remote = String(rest[..<name.endIndex])
        path = try Self.path(rest[name.endIndex...].dropFirst())
    }

    /// One text for one place.
    package var text: String { "\(Self.scheme)\(place)" }

    /// As rclone writes it.
    package var place: String { "\(remote):\(path)" }

    /// What `rclone config` calls it.
    package var remoteName: String { remote.hasPrefix(":") ? String(remote.dropFirst()) : remote }

    /// What rclone takes (its `fspath`): letters and digits of any script, and a few signs.
    private static func isRemote(_ name: Substring) -> Bool {
        !name.isEmpty && name.utf8.count <= 128 && name.first != "-" && name.first != " " && name.last != " "
            && name.allSatisfy { $0.isLetter || $0.isNumber || "_-.+@ ".contains($0) }
    }

    private static func path(_ text: Substring) throws(Malformed) -> String {
        let path = text.count > 1 && text.hasSuffix("/") ? text.dropLast() : text
        guard path.utf8.count <= pathBytesMax, path != "/" else { throw .badPath }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let mayBeEmpty = index == 0 && (parts.count > 1 || path.isEmpty)
            // Brackets mark where a remote ends in what rclone is asked for, and a question mark options in addresses.
            guard !part.isEmpty || mayBeEmpty, part != ".", part != "..",
                part.unicodeScalars.allSatisfy({
                    $0.properties.generalCategory != .control && !"[]?\\".unicodeScalars.contains($0)
                })
            else { throw .badPath }
        }
        return String(path)
    }
}
