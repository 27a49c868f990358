package import BackupFormat

/// What of a snapshot is restored.
package struct RestoreChoice: Sendable {
    /// Files and folders that alone are restored, each at its own path; empty for all.
    package var paths: [[UInt8]]
    /// Which of the files and symbolic links there; nil for all, and then empty folders come too.
    package var wants: (@Sendable (_ path: [UInt8], _ entry: Entry) -> Bool)?

    package static let everything = RestoreChoice()

    package init(
        paths: [[UInt8]] = [], wants: (@Sendable (_ path: [UInt8], _ entry: Entry) -> Bool)? = nil
    ) {
        let named = paths.map(Self.names)
        // One path for the whole backup among others: everything.
        self.paths = named.contains([]) ? [] : named.map { Array($0.joined(separator: [UInt8(ascii: "/")])) }
        self.wants = wants
    }

    private static func names(_ path: [UInt8]) -> [ArraySlice<UInt8>] {
        path.split(separator: UInt8(ascii: "/")).filter { $0 != Entry.rootName[...] }
    }

    package var isEverything: Bool { paths.isEmpty && wants == nil }

    /// Whether a folder must be looked into, or a file is at one of the paths.
    package func leads(to path: [UInt8]) -> Bool {
        paths.isEmpty || paths.contains { Self.isSameOrBelow(path, $0) || Self.isSameOrBelow($0, path) }
    }

    /// Whether this is one of the paths, or below one.
    package func covers(_ path: [UInt8]) -> Bool {
        paths.isEmpty || paths.contains { Self.isSameOrBelow(path, $0) }
    }

    private static func isSameOrBelow(_ path: [UInt8], _ folder: [UInt8]) -> Bool {
        path.starts(with: folder) && (path.count == folder.count || path[folder.count] == UInt8(ascii: "/"))
    }
}
