import CCofferSystem
import Foundation

/// Why a file could not be written; nothing has the name that it was to get.
package enum PendingFileError: Error, Equatable, Sendable {
    case full
    /// Something has that name already, and was left alone.
    case exists
    case failed(String)

    init(_ code: Int32 = errno) {
        switch code {
        case ENOSPC, EDQUOT: self = .full
        case EEXIST: self = .exists
        default: self = .failed(systemMessage(code))
        }
    }
}

/// A file that gets its name when it is whole: until then it has none, or, where the file system knows no such files, one that
/// begins with a dot. Only its owner may read it.
package final class PendingFile {
    let descriptor: Int32
    /// nil if it has none.
    private var temporary: [CChar]?

    /// - Parameters:
    ///   - folder: one that is there.
    ///   - isNamedLater: false if it is never to have a name; it has none then from the beginning, on any file system.
    package init(in folder: String, isNamedLater: Bool = true) throws(PendingFileError) {
        let nameless = isNamedLater ? coffer_open_nameless(folder) : coffer_open_temporary(folder)
        if nameless >= 0 {
            descriptor = nameless
            return
        }
        guard isNamedLater, coffer_knows_nameless(errno) == 0 else { throw PendingFileError() }
        var path = systemPath(Array(folder.utf8), Array(".coffer-XXXXXX".utf8))
        descriptor = mkstemp(&path)
        guard descriptor >= 0 else { throw PendingFileError() }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        temporary = path
    }

    deinit {
        if let temporary { unlink(temporary) }
        close(descriptor)
    }

    /// Writes behind what is there.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(PendingFileError) {
        guard coffer_write_once(descriptor, bytes.baseAddress, bytes.count) == 0 else { throw PendingFileError() }
    }

    /// As many of the bytes as there are; nil if they cannot be read.
    package func bytes(at offset: UInt64, count: Int) -> [UInt8]? {
        guard let offset = off_t(exactly: offset) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { try? readAvailable(descriptor, into: $0, at: offset) }
        guard let got else { return nil }
        return Array(bytes.prefix(got))
    }

    /// Overwrites bytes in place.
    package func replace(_ bytes: [UInt8], at offset: UInt64) -> Bool {
        guard let offset = off_t(exactly: offset) else { return false }
        return bytes.withUnsafeBytes { writeFully(descriptor, $0, at: offset) }
    }

    /// Gives it its name, once its bytes are on the disk; fails if something has that name.
    /// - Parameter folder: on the same disk as the one it was begun in.
    package func finish(in folder: String, as name: String) throws(PendingFileError) {
        guard fsync(descriptor) == 0 else { throw PendingFileError() }
        try self.name(as: "\(folder)/\(name)")
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        // Some file systems cannot sync a folder; the file's own bytes are on the disk.
        fsync(handle)
        close(handle)
    }

    /// Without waiting for the disk.
    package func name(as path: String) throws(PendingFileError) {
        guard let temporary else {
            let own = "/proc/self/fd/\(descriptor)"
            guard linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 else { throw PendingFileError() }
            return
        }
        if link(temporary, path) == 0 { return }
        // A file system that has no hard links: between look and rename somebody could take the name, and nobody else knows of it.
        guard [EPERM, EOPNOTSUPP, ENOSYS].contains(errno) else { throw PendingFileError() }
        guard access(path, F_OK) != 0 else { throw .exists }
        guard rename(temporary, path) == 0 else { throw PendingFileError() }
        self.temporary = nil
    }
}
