package import BackupEngine
package import BackupFormat
import CCofferSystem
import Foundation

/// A folder that a snapshot is restored to.
///
/// Every name is used relative to an open folder and never followed through a symbolic link, so that nothing is written outside. A file
/// is written under a temporary name and linked to its own when it is complete.
package final class FolderTarget: RestoreTarget {
    private struct Level {
        var folder: Int32
        var wasMade: Bool
    }

    private struct PartialFile {
        var file: Int32
        var name: [CChar]
        var finalName: [UInt8]
        var bytes: off_t = 0
    }

    private static let temporaryPrefix = ".coffer-restoring-"
    /// Lies in a folder that was empty or not there when a restore to it began, until the restore has ended: if it is cut, the next
    /// one goes on.
    private static let unfinishedName = ".coffer-unfinished-restore"

    private var levels: [Level]
    private var path: [[UInt8]] = []
    private var partial: PartialFile?
    private var linkGroups: [UInt64: [UInt8]] = [:]
    /// Whether everything in the folder comes from a restore.
    private let isOwn: Bool
    private var isMarked = false
    /// The folders that were made, by inode: they get their attributes when they are left for the last time.
    private var madeFolders: Set<UInt64> = []
    private let setsOwner = geteuid() == 0

    /// Whether a folder can be restored to: it is not there, holds nothing, or an unfinished restore.
    package static func isReady(_ path: String) -> Bool {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return true }
        return names.isEmpty || names.contains(unfinishedName)
    }

    /// - Parameter intoExisting: whether the folder may hold something already; it is kept.
    package init(path: String, intoExisting: Bool) throws(FolderTargetError) {
        let made = mkdir(path, 0o700) == 0
        guard made || errno == EEXIST else { throw .cannotMake(systemMessage()) }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .cannotMake(systemMessage()) }
        levels = [Level(folder: folder, wasMade: made)]
        isOwn = Self.isReady(path)
        guard isOwn || intoExisting else {
            close(folder)
            levels = []
            throw .notEmpty
        }
        if isOwn { levels[0].wasMade = true }
        removeUnfinished()
    }

    deinit {
        abandonFile()
        for level in levels { close(level.folder) }
    }

    private var folder: Int32 { levels.last?.folder ?? -1 }

    /// Before anything is put into the folder. Without it a restore that is cut asks for --into-existing.
    private func markUnfinished() {
        guard isOwn, !isMarked, let root = levels.first?.folder else { return }
        isMarked = true
        let mark = openat(root, Self.unfinishedName, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        if mark >= 0 { close(mark) }
    }

    // MARK: Folders

    package func enterDirectory(_ name: [UInt8]) throws(TargetError) {
        markUnfinished()
        let systemName = systemPath(name)
        let made = mkdirat(folder, systemName, 0o700) == 0
        guard made || errno == EEXIST else { throw Self.lastError() }
        let opened = openat(folder, systemName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard opened >= 0 else { throw made ? Self.lastError() : .exists }
        let inode = FileStatus.of(opened)?.inode
        if made, let inode { madeFolders.insert(inode) }
        let wasMade = made || isOwn || inode.map { madeFolders.contains($0) } == true
        levels.append(Level(folder: opened, wasMade: wasMade))
        path.append(name)
        if !made { removeUnfinished() }
    }

    package func leaveDirectory(_ metadata: Metadata?) throws(TargetError) {
        guard let level = levels.popLast() else { return }
        _ = path.popLast()
        defer { close(level.folder) }
        guard let metadata else { return }
        if levels.isEmpty, isMarked {
            // Names can reach the disk before contents do, and without the mark nobody would look at them again.
            coffer_sync_file_system(level.folder)
            unlinkat(level.folder, Self.unfinishedName, 0)
        }
        // A folder that was there before keeps its own attributes.
        if level.wasMade, let refused = apply(metadata, to: level.folder) { throw .attributes(refused) }
    }

    /// Of a restore that was killed.
    private func removeUnfinished() {
        removeAbandoned(in: folder) { $0.starts(with: Self.temporaryPrefix.utf8) }
    }

    // MARK: Files

    package func beginFile(_ name: [UInt8]) throws(TargetError) {
        abandonFile()
        markUnfinished()
        let temporary = systemPath(Array("\(Self.temporaryPrefix)\(UUID().uuidString)".utf8))
        let file = openat(folder, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.lastError() }
        // So that nobody takes it for one that was abandoned.
        flock(file, LOCK_EX | LOCK_NB)
        partial = PartialFile(file: file, name: temporary, finalName: name)
    }

    package func existingFile(_ name: [UInt8]) -> (any SourceFile)? {
        try? PlainFile(path: systemPath(name), in: folder)
    }

    package func keepFile(_ name: [UInt8], linkGroup: UInt64) {
        if linkGroup != 0 { linkGroups[linkGroup] = Array((path + [name]).joined(separator: [0x2f])) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer) throws(TargetError) {
        guard let file = partial?.file else { return }
        guard coffer_write_once(file, bytes.baseAddress, bytes.count) == 0 else { throw Self.lastError() }
        partial?.bytes += off_t(bytes.count)
    }

    package func skip(_ count: Int) throws(TargetError) {
        guard let current = partial else { return }
        let end = current.bytes + off_t(count)
        guard lseek(current.file, end, SEEK_SET) == end else { throw Self.lastError() }
        partial?.bytes = end
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(TargetError) {
        guard let file = partial?.file else { return }
        guard writeFully(file, bytes, at: off_t(offset)) else { throw Self.lastError() }
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(TargetError) {
        guard let file = partial?.file else { return }
        let count: Int
        do { count = try readAvailable(file, into: buffer, at: off_t(offset)) } catch { throw Self.lastError() }
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    package func resize(_ count: UInt64) throws(TargetError) {
        guard let current = partial else { return }
        guard ftruncate(current.file, off_t(count)) == 0, lseek(current.file, off_t(count), SEEK_SET) == off_t(count)
        else { throw Self.lastError() }
        partial?.bytes = off_t(count)
    }

    package func finishFile(_ metadata: Metadata, linkGroup: UInt64) throws(TargetError) {
        guard let current = partial else { return }
        // A hole at the end is not there until the length says so.
        guard ftruncate(current.file, current.bytes) == 0 else { throw Self.lastError() }
        let refused = apply(metadata, to: current.file)
        let finalName = systemPath(current.finalName)
        if linkat(folder, current.name, folder, finalName, 0) != 0 {
            let code = errno
            guard code == EPERM || code == EOPNOTSUPP || code == ENOSYS else { throw Self.error(code) }
            guard faccessat(folder, finalName, F_OK, Int32(AT_SYMLINK_NOFOLLOW)) != 0 else { throw .exists }
            guard renameat(folder, current.name, folder, finalName) == 0 else { throw Self.lastError() }
        }
        abandonFile()
        keepFile(current.finalName, linkGroup: linkGroup)
        if let refused { throw .attributes(refused) }
    }

    package func abandonFile() {
        guard let current = partial else { return }
        close(current.file)
        unlinkat(folder, current.name, 0)
        partial = nil
    }

    // MARK: Links

    package func link(_ name: [UInt8], linkGroup: UInt64) throws(TargetError) -> Bool {
        guard let first = linkGroups[linkGroup], let root = levels.first?.folder else { return false }
        guard linkat(root, systemPath(first), folder, systemPath(name), 0) != 0 else { return true }
        // A file system without hard links gets a second copy instead.
        let code = errno
        guard code == EPERM || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK else { throw Self.error(code) }
        return false
    }

    package func existingLink(_ name: [UInt8]) -> [UInt8]? { linkTarget(systemPath(name), in: folder) }

    package func symbolicLink(
        _ name: [UInt8], target: [UInt8], metadata: Metadata
    ) throws(TargetError) {
        let systemName = systemPath(name)
        guard symlinkat(systemPath(target), folder, systemName) == 0 else { throw Self.lastError() }
        var times = Self.times(metadata)
        let isOwned =
            !setsOwner
            || fchownat(folder, systemName, metadata.owner, metadata.group, Int32(AT_SYMLINK_NOFOLLOW)) == 0
        let isTimed = utimensat(folder, systemName, &times, Int32(AT_SYMLINK_NOFOLLOW)) == 0
        guard isOwned, isTimed else { throw .attributes(isOwned ? "its time" : "its owner") }
    }

    // MARK: Attributes

    /// Owner first, since changing it clears set-id bits; times last, since everything else changes them.
    ///
    /// - Returns: what the file system did not take, for people; nil if it took everything.
    private func apply(_ metadata: Metadata, to file: Int32) -> String? {
        var refused: [String] = []
        if setsOwner, fchown(file, metadata.owner, metadata.group) != 0 {
            refused.append("its owner")
        }
        refused += setExtendedAttributes(metadata.attributes, on: file)
        // Set-id bits must not pass to an owner that they were not meant for.
        let mode = refused.first == "its owner" ? metadata.mode & 0o1777 : metadata.mode
        if fchmod(file, mode_t(mode)) != 0 { refused.append("its permissions") }
        var times = Self.times(metadata)
        if futimens(file, &times) != 0 { refused.append("its time") }
        return refused.isEmpty ? nil : refused.joined(separator: ", ")
    }

    private static func times(_ metadata: Metadata) -> [timespec] {
        let time = timespec(tv_sec: Int(metadata.modifiedSeconds), tv_nsec: Int(metadata.modifiedNanoseconds))
        return [time, time]
    }

    private static func lastError() -> TargetError { error(errno) }

    private static func error(_ code: Int32) -> TargetError {
        switch code {
        case EEXIST: .exists
        case ENOSPC, EDQUOT: .full
        default: .failed(systemMessage(code))
        }
    }
}

/// Why a folder cannot be restored to; nothing was changed.
package enum FolderTargetError: Error, Equatable, Sendable {
    /// There is something in it already.
    case notEmpty
    case cannotMake(String)
}
