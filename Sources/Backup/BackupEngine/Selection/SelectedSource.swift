package import BackupFormat
import Synchronization

/// A source without what a person chose not to save.
package final class SelectedSource: BackupSource {
    private static let namedMax = 20

    private let base: any BackupSource
    private let selection: SourceSelection
    private let messages = Mutex<[[UInt8]]>([])

    package init(_ base: any BackupSource, _ selection: SourceSelection) {
        self.base = base
        self.selection = selection
    }

    package var label: String { base.label }
    package var leftOut: String { selection.text }

    /// Messages that a pattern left out so far: nobody should lose them without a word.
    package var messagesLeftOut: [[UInt8]] { messages.withLock { $0 } }

    package func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        let children = try base.children(of: directory)
        return selection.isEverything ? children : AnySequence(children.lazy.filter(isSaved))
    }

    private func isSaved(_ node: SourceNode) -> Bool {
        switch node.kind {
        case .directory: return !selection.leavesOut(node.path, isFolder: true)
        case .symbolicLink, .other, .unreadable: return !selection.leavesOut(node.path, isFolder: false)
        case .file:
            if selection.withoutOlderDumps, base.isSuperseded(node) { return false }
            if selection.leavesOut(node.path, isFolder: false) {
                if Category.known(of: node.path) == .messages { note(node.path) }
                return false
            }
            return selection.categories.isEmpty || !selection.categories.contains(base.category(of: node))
        }
    }

    private func note(_ path: [UInt8]) {
        messages.withLock { if $0.count < Self.namedMax, !$0.contains(path) { $0.append(path) } }
    }

    package func root() throws(SourceError) -> SourceNode { try base.root() }
    package func node(at path: [UInt8]) -> SourceNode? { base.node(at: path) }
    package func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        try base.open(file, attempt: attempt)
    }
    package func version(of file: SourceNode, form: FileForm) -> FileVersion? { base.version(of: file, form: form) }
    package func attributes(of node: SourceNode) -> [ExtendedAttribute] { base.attributes(of: node) }
    package func isSuperseded(_ node: SourceNode) -> Bool { base.isSuperseded(node) }
}

/// How much of each category a source holds, and how much of that is left out.
package struct SelectionSurvey: Equatable, Sendable {
    package struct Amount: Equatable, Sendable {
        package var files = 0
        package var bytes: UInt64 = 0
        package var filesLeftOut = 0
        package var bytesLeftOut: UInt64 = 0
    }

    private var amounts: [Category: Amount] = [:]
    /// What a newer file has taken the place of, whatever its category.
    package private(set) var superseded = Amount()

    package subscript(category: Category) -> Amount { amounts[category] ?? Amount() }

    /// Looks at every file's name and size, and into those whose name says nothing; what cannot be read is not counted.
    package static func run(
        _ source: any BackupSource, _ selection: SourceSelection
    ) throws(SourceError) -> SelectionSurvey {
        var survey = SelectionSurvey()
        var folders = [(node: try source.root(), isLeftOut: false)]
        while let folder = folders.popLast() {
            guard let children = try? source.children(of: folder.node) else { continue }
            for node in children {
                switch node.kind {
                case .directory:
                    folders.append((node, folder.isLeftOut || selection.leavesOut(node.path, isFolder: true)))
                case .file(let bytes, _):
                    let isSuperseded = source.isSuperseded(node)
                    let isLeftOut =
                        folder.isLeftOut || selection.leavesOut(node.path, isFolder: false)
                        || isSuperseded && selection.withoutOlderDumps
                    let category = source.category(of: node)
                    survey.amounts[category, default: Amount()].add(
                        bytes, isLeftOut || selection.categories.contains(category))
                    if isSuperseded {
                        survey.superseded.add(bytes, isLeftOut || selection.categories.contains(category))
                    }
                case .symbolicLink, .other, .unreadable: break
                }
            }
        }
        return survey
    }
}

extension SelectionSurvey.Amount {
    fileprivate mutating func add(_ count: UInt64, _ isLeftOut: Bool) {
        files += 1
        bytes += count
        guard isLeftOut else { return }
        filesLeftOut += 1
        bytesLeftOut += count
    }
}
