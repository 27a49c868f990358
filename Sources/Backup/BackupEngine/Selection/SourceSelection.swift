import BackupFormat

/// What a person chose not to save.
package struct SourceSelection: Equatable, Sendable {
    /// Files of these, wherever they are.
    package var categories: Set<Category>
    /// Files, links and folders whose path is as one of these says.
    package var patterns: [Glob]
    /// Files that a newer one in the source has taken the place of.
    package var withoutOlderDumps = false

    /// How people say that.
    package static let olderDumps = "older-dumps"

    package static let everything = SourceSelection()

    package init(
        withoutCategories categories: Set<Category> = [], withoutPatterns patterns: [Glob] = [],
        withoutOlderDumps: Bool = false
    ) {
        self.categories = categories
        self.withoutOlderDumps = withoutOlderDumps
        self.patterns = patterns
    }

    package var isEverything: Bool { categories.isEmpty && patterns.isEmpty && !withoutOlderDumps }

    /// A category, `older-dumps` or a pattern on a line: what stands in a snapshot.
    package var text: String {
        let named = Category.allCases.filter { categories.contains($0) }.map(\.rawValue)
        let dumps = withoutOlderDumps ? [Self.olderDumps] : []
        return (named + dumps + patterns.map(\.text)).joined(separator: "\n")
    }

    /// By its path alone.
    package func leavesOut(_ path: [UInt8], isFolder: Bool) -> Bool {
        patterns.contains { $0.matches(path, isFolder: isFolder) }
    }
}

extension BackupSource {
    /// What a file is, by its first bytes where its name does not tell.
    package func category(of node: SourceNode) -> Category {
        if let category = Category.known(of: node.path) { return category }
        guard let file = try? open(node, attempt: 0) else { return .other }
        if file.form != .asIs { return .messages }
        var bytes = [UInt8](repeating: 0, count: Int(min(file.contentBytes, UInt64(Category.beginningBytes))))
        let isRead = bytes.withUnsafeMutableBytes { (try? file.read(into: $0)) != nil }
        return isRead ? Category(beginning: bytes) ?? .other : .other
    }
}
