import Primitives

#if canImport(Glibc)
    import Glibc
    private let systemRead = Glibc.read
#else
    import Darwin
    private let systemRead = Darwin.read
#endif

/// A small file that its owner alone may read: a key, a token.
package enum PrivateFile {
    package enum Failure: Error, Equatable {
        /// The system's own words, with the path.
        case system(String)
        /// Others could read or write the file, or it belongs to someone else. What it holds may be known to them.
        case notPrivate(String)
        /// Not a plain file, or larger than such a file can be.
        case notPlain(String)
        case exists(String)
    }

    /// Writes a new file with mode 0600 and waits for the medium; an existing one is never replaced.
    package static func create(_ path: String, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw errno == EEXIST ? .exists(path) : system(path) }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let written = write(file, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            guard written > 0 else { throw system(path) }
            offset += written
        }
        guard fsync(file) == 0 else { throw system(path) }
    }

    /// Replaces a small file in one step: whoever reads it, even after a power cut, finds the old bytes or the new ones.
    /// One writer at a time; the caller sees to it.
    package static func replace(_ path: String, _ bytes: [UInt8]) throws(Failure) {
        let new = path + ".new"
        // What is left of a writer that was killed.
        guard unlink(new) == 0 || errno == ENOENT else { throw system(new) }
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(Failure) in try create(new, bytes) }
        }
        try outcome.get()
        guard rename(new, path) == 0 else { throw system(path) }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw system(folder) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw system(folder) }
    }

    /// Reads a file of at most `bytesMax`, refusing one that is not private.
    package static func read(_ path: String, bytesMax: Int) throws(Failure) -> [UInt8] {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { throw system(path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw system(path) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= bytesMax else { throw .notPlain(path) }
        guard status.st_mode & 0o077 == 0, status.st_uid == geteuid() else { throw .notPrivate(path) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                systemRead(file, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
            }
            guard count > 0 else { throw system(path) }
            offset += count
        }
        return bytes
    }

    private static func system(_ path: String) -> Failure {
        .system("\(path): \(String(cString: strerror(errno)))")
    }
}
