import BackupEngine
import BackupFormat
import Synchronization

/// Files in memory that misbehave on request: a source as a test wants it.
struct MemorySource: BackupSource {
    enum Behaviour: Sendable {
        case steady
        /// Ends before its announced end for the first so many attempts.
        case shrinks(attempts: Int)
        /// Says at the end that it changed, for the first so many attempts.
        case changes(attempts: Int)
        case unreadable
        case vanished
        /// Fails in the middle of reading.
        case breaks
    }

    struct File: Sendable {
        var content: [UInt8]
        var behaviour: Behaviour = .steady
        var attributes: [ExtendedAttribute] = []
    }

    let label = "memory"
    /// By path, `/` between names; folders follow from the paths.
    var files: [String: File]
    var unreadableFolders: Set<String> = []
    /// Whether the source is gone when it is looked at for the so-many-th time.
    var vanishesAtLook: Int?
    private let looks = Looks()

    private final class Looks: Sendable { let count = Mutex(0) }

    init(_ contents: [String: [UInt8]]) {
        files = contents.mapValues { File(content: $0) }
    }

    static func metadata(_ attributes: [ExtendedAttribute] = []) -> Metadata {
        Metadata(
            mode: 0o644, owner: 1, group: 2, modifiedSeconds: 3, modifiedNanoseconds: 4, attributes: attributes)
    }

    func root() throws(SourceError) -> SourceNode {
        let look = looks.count.withLock { count in
            count += 1
            return count
        }
        if let vanishesAtLook, look >= vanishesAtLook { throw .noSource(label) }
        return SourceNode(path: [], kind: .directory, metadata: Self.metadata())
    }

    func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        let folder = String(decoding: directory.path, as: UTF8.self)
        if unreadableFolders.contains(folder) { throw .unreadable("for the test") }
        let prefix = folder.isEmpty ? "" : folder + "/"
        var nodes: [String: SourceNode] = [:]
        for (path, file) in files where path.hasPrefix(prefix) {
            let parts = path.dropFirst(prefix.count).split(separator: "/")
            let name = prefix + parts[0]
            nodes[name] = SourceNode(
                path: Array(name.utf8),
                kind: parts.count > 1 ? .directory : .file(bytes: UInt64(file.content.count), linkGroup: 0),
                metadata: Self.metadata(parts.count > 1 ? [] : file.attributes))
        }
        return AnySequence(nodes.values.sorted { $0.path.lexicographicallyPrecedes($1.path) })
    }

    func open(_ node: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        guard let file = files[String(decoding: node.path, as: UTF8.self)] else { throw .vanished }
        switch file.behaviour {
        case .unreadable: throw .unreadable("for the test")
        case .vanished: throw .vanished
        default: return OpenFile(file, attempt: attempt)
        }
    }

    private final class OpenFile: SourceFile {
        private let file: File
        private let attempt: Int
        private var offset = 0

        init(_ file: File, attempt: Int) {
            self.file = file
            self.attempt = attempt
        }

        var form: FileForm { .asIs }
        var contentBytes: UInt64 { UInt64(file.content.count) }

        func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
            if case .breaks = file.behaviour { throw .unreadable("for the test") }
            if case .shrinks(let attempts) = file.behaviour, attempt < attempts { throw .changed }
            buffer.copyBytes(from: file.content[offset..<offset + buffer.count])
            offset += buffer.count
        }

        func finish() throws(SourceError) {
            if case .changes(let attempts) = file.behaviour, attempt < attempts { throw .changed }
        }
    }
}

/// Takes a restore in memory.
final class MemoryTarget: RestoreTarget {
    private(set) var files: [String: [UInt8]] = [:]
    /// The files' names as they came.
    private(set) var order: [String] = []
    private(set) var folders: Set<String> = []
    private(set) var isFileOpen = false
    private var path: [String] = []
    private var name = ""
    private var content: [UInt8] = []
    /// How many bytes there is room for.
    var roomBytes = Int.max

    private func full(_ name: [UInt8]) -> String {
        (path + [String(decoding: name, as: UTF8.self)]).joined(separator: "/")
    }

    func enterDirectory(_ name: [UInt8]) throws(TargetError) {
        folders.insert(full(name))
        path.append(String(decoding: name, as: UTF8.self))
    }

    func leaveDirectory(_ metadata: Metadata?) throws(TargetError) { _ = path.popLast() }

    func existingFile(_ name: [UInt8]) -> (any SourceFile)? { nil }

    func keepFile(_ name: [UInt8], linkGroup: UInt64) {}

    func existingLink(_ name: [UInt8]) -> [UInt8]? { nil }

    func beginFile(_ name: [UInt8]) throws(TargetError) {
        self.name = full(name)
        content = []
        isFileOpen = true
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(TargetError) {
        guard bytes.count <= roomBytes else { throw .full }
        roomBytes -= bytes.count
        content += bytes
    }

    func skip(_ count: Int) throws(TargetError) { content += [UInt8](repeating: 0, count: count) }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(TargetError) {
        guard bytes.count <= roomBytes else { throw .full }
        roomBytes -= bytes.count
        let end = Int(offset) + bytes.count
        if end > content.count { content += [UInt8](repeating: 0, count: end - content.count) }
        content.replaceSubrange(Int(offset)..<end, with: bytes)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(TargetError) {
        let there = content.dropFirst(Int(offset)).prefix(buffer.count)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        buffer.copyBytes(from: there)
    }

    func resize(_ count: UInt64) throws(TargetError) {
        content = Array(content.prefix(Int(count)))
        content += [UInt8](repeating: 0, count: Int(count) - content.count)
    }

    func finishFile(_ metadata: Metadata, linkGroup: UInt64) throws(TargetError) {
        guard files[name] == nil else { throw .exists }
        files[name] = content
        order.append(name)
        isFileOpen = false
    }

    func abandonFile() { isFileOpen = false }

    func link(_ name: [UInt8], linkGroup: UInt64) throws(TargetError) -> Bool { false }

    func symbolicLink(_ name: [UInt8], target: [UInt8], metadata: Metadata) throws(TargetError) {}
}

extension Wing {
    /// Restores into memory.
    /// - Parameter number: counted from the oldest; the newest if nil.
    func restored(number: Int? = nil) async throws -> (files: [String: [UInt8]], report: RestoreReport) {
        let repository = try await open()
        let names = try await repository.snapshotNames()
        let snapshot = try await repository.snapshot(names[number ?? names.count - 1])
        let target = MemoryTarget()
        let report = try await Restore.run(
            snapshot, from: repository, try await repository.loadIndex().index, into: target,
            report: { _ in })
        return (target.files, report)
    }
}
