package import BackupEngine
package import BackupFormat
import CCofferSystem
import Foundation

/// A folder on this device, and everything below it.
///
/// Files are read as they are; SQLite databases as images of one moment, without their companions `-wal`, `-shm`
/// and `-journal`. Nothing in the source is ever changed.
package struct FolderSource: BackupSource {
    package let label: String
    private let base: [UInt8]
    private let apart: FileStatus?

    /// - Parameters:
    ///   - label: what stands in the snapshot; nil for the path.
    ///   - apart: a folder that is no part of the source, wherever it lies and under whatever name: the device's own, which
    ///     holds the backup's key.
    package init(path: String, label: String? = nil, apart: String? = nil) throws(SourceError) {
        self.label = label ?? path
        base = Array(path.utf8)
        self.apart = apart.flatMap { FileStatus.ofLink(systemPath(Array("\($0)/.".utf8))) }
        guard let status = FileStatus.ofLink(systemPath(base + Array("/.".utf8))), status.type == S_IFDIR
        else { throw .noSource(self.label) }
    }

    package func root() throws(SourceError) -> SourceNode {
        let path = systemPath(base + Array("/.".utf8))
        guard let status = FileStatus.ofLink(path) else { throw .noSource(label) }
        return SourceNode(path: [], kind: .directory, metadata: status.metadata([]))
    }

    package func children(of directory: SourceNode) throws(SourceError) -> AnySequence<SourceNode> {
        let names = try names(in: directory)
        let companions = databaseCompanions(of: names, in: directory)
        return AnySequence(
            names.lazy.filter { !companions.contains($0) }.compactMap { child(at: path(of: $0, in: directory)) })
    }

    package func node(at path: [UInt8]) -> SourceNode? { path.isEmpty ? try? root() : child(at: path) }

    package func open(_ file: SourceNode, attempt: Int) throws(SourceError) -> any SourceFile {
        let path = systemPath(base, file.path)
        if DatabaseImage.isDatabase(path) {
            return try DatabaseImage(path: path, attempt: attempt)
        }
        return try PlainFile(path: path)
    }

    /// For a database also its log and journal. Nothing is opened: closing the file would drop the lock under which it may be
    /// read just now.
    package func version(of file: SourceNode, form: FileForm) -> FileVersion? {
        guard var version = file.version, form != .asIs else { return file.version }
        let path = systemPath(base, file.path)
        for companion in [DatabaseCompanion.log, .journal] {
            guard let status = FileStatus.ofLink(companionPath(path, companion.rawValue)) else { continue }
            let own = status.version
            version.bytes += Array(companion.rawValue.utf8) + own.bytes
            version.changedSeconds = max(version.changedSeconds, own.changedSeconds)
        }
        return version
    }

    package func attributes(of node: SourceNode) -> [ExtendedAttribute] {
        if case .symbolicLink = node.kind { return [] }
        if node.path.isEmpty { return extendedAttributes(systemPath(base + Array("/.".utf8))) }
        return extendedAttributes(systemPath(base, node.path))
    }

    // MARK: Folders

    private func path(of name: [UInt8], in directory: SourceNode) -> [UInt8] {
        Entry.path(of: name, in: directory.path)
    }

    private func names(in directory: SourceNode) throws(SourceError) -> NameList {
        guard let stream = opendir(systemPath(base, directory.path)) else {
            throw errno == ENOENT ? .vanished : .unreadable(systemMessage())
        }
        defer { closedir(stream) }
        var names = NameList()
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if Entry.isSafe(name: name) { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw .unreadable(systemMessage()) }
        names.sort()
        return names
    }

    /// Names that belong to a database beside them and are folded into its image.
    private func databaseCompanions(of names: NameList, in directory: SourceNode) -> Set<[UInt8]> {
        var companions: Set<[UInt8]> = []
        for name in names {
            for companion in DatabaseCompanion.allCases {
                let suffix = Array(companion.rawValue.utf8)
                guard name.count > suffix.count, name.suffix(suffix.count) == suffix[...] else { continue }
                let main = Array(name.dropLast(suffix.count))
                if names.contains(main), DatabaseImage.isDatabase(systemPath(base, path(of: main, in: directory))),
                    companion.isGenuine(systemPath(base, path(of: name, in: directory)))
                {
                    companions.insert(name)
                }
            }
        }
        return companions
    }

    /// nil if it vanished since the folder was read.
    private func child(at path: [UInt8]) -> SourceNode? {
        let systemPath = systemPath(base, path)
        guard let status = FileStatus.ofLink(systemPath) else {
            guard errno != ENOENT else { return nil }
            let unknown = Metadata(
                mode: 0, owner: 0, group: 0, modifiedSeconds: 0, modifiedNanoseconds: 0, attributes: [])
            return SourceNode(path: path, kind: .unreadable, metadata: unknown)
        }
        if let apart, status.device == apart.device, status.inode == apart.inode { return nil }
        return SourceNode(
            path: path, kind: kind(of: status, systemPath), metadata: status.metadata([]), version: status.version,
            dataBytes: status.dataBytes)
    }

    private func kind(of status: FileStatus, _ path: [CChar]) -> SourceNode.Kind {
        switch status.type {
        case S_IFDIR: return .directory
        case S_IFREG: return .file(bytes: status.bytes, linkGroup: status.links > 1 ? linkGroup(status) : 0)
        case S_IFLNK: return linkTarget(path).map { .symbolicLink(target: $0) } ?? .unreadable
        default: return .other
        }
    }

    /// Equal for the names of one file: its device and inode, mixed into one number that is not 0.
    private func linkGroup(_ status: FileStatus) -> UInt64 {
        let mixed = status.inode ^ (status.device &* 0x9e37_79b9_7f4a_7c15)
        return mixed == 0 ? 1 : mixed
    }
}

/// What a symbolic link says; nil if there is none.
func linkTarget(_ path: [CChar], in folder: Int32 = AT_FDCWD) -> [UInt8]? {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlinkat(folder, path, &target, target.count)
    return count > 0 ? target[..<count].map { UInt8(bitPattern: $0) } : nil
}

/// A file that is read as it is, and must not change meanwhile.
final class PlainFile: SourceFile {
    private let file: Int32
    private let before: FileStatus
    private var offset: off_t = 0

    /// - Parameter folder: what the path is relative to; without it the working directory.
    init(path: [CChar], in folder: Int32 = AT_FDCWD) throws(SourceError) {
        // O_NONBLOCK: a pipe that took the file's place must not make a backup wait for ever.
        file = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENOENT || errno == ELOOP ? .vanished : .unreadable(systemMessage()) }
        guard let status = FileStatus.of(file), status.type == S_IFREG else {
            close(file)
            throw .vanished
        }
        before = status
    }

    deinit { close(file) }

    var form: FileForm { .asIs }
    var contentBytes: UInt64 { before.bytes }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SourceError) {
        try readFully(file, into: buffer, at: offset)
        offset += off_t(buffer.count)
    }

    func skipHole(_ count: Int) -> Bool {
        // Allocated space tells most files apart that have no holes at all.
        guard before.mayHaveHoles else { return false }
        let data = coffer_next_data(file, offset)
        guard data >= offset + off_t(count) || (data < 0 && errno == ENXIO) else { return false }
        offset += off_t(count)
        return true
    }

    func skip(_ count: Int) -> Bool {
        offset += off_t(count)
        return true
    }

    func finish() throws(SourceError) {
        guard let after = FileStatus.of(file), after.hasSameContent(as: before) else { throw .changed }
    }
}
