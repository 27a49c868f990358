import BackupFormat

/// What a person chose not to save.
package struct SourceSelection: Equatable, Sendable {
    /// Files of these, wherever they are.
    package var categories: Set<Category>
    /// Files, links and folders whose path is as one of these says.
    package var patterns: [Glob]

    package static let everything = SourceSelection()

    package init(withoutCategories categories: Set<Category> = [], withoutPatterns patterns: [Glob] = []) {
        self.categories = categories
        self.patterns = patterns
    }

    package var isEverything: Bool { categories.isEmpty && patterns.isEmpty }

    /// A category or a pattern on a line: what stands in a snapshot.
    package var text: String {
        (Category.allCases.filter { categories.contains($0) }.map(\.rawValue) + patterns.map(\.text))
            .joined(separator: "\n")
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
