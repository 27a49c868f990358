#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files that a simulated token wrote, and did not wait for.
enum TokenFolder {
    private static let depthMax = 2

    enum Kind { case file, folder, link, other }

    /// Returns when every file in the folder and the folders below it is on the medium. What it would have to pass over is
    /// an error: a head that was not waited for must not count as anchored.
    static func sync(_ path: String, depth: Int = 0) throws(PrivateFile.Failure) {
        guard let folder = opendir(path) else { throw system(path) }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let file = "\(path)/\(name)"
            switch try kind(entry.pointee.d_type, of: file) {
            case .folder:
                guard depth < depthMax else {
                    throw .system("\(file) lies deeper than a token's files do; is this the folder of the tokens?")
                }
                try sync(file, depth: depth + 1)
            case .file: try syncFile(file)
            case .link: throw .system("\(file) is a link, and what it leads to was not waited for")
            // Sockets and pipes: nothing of them lies on a medium. Nil: it is gone again.
            case .other, nil: continue
            }
        }
        guard fsync(dirfd(folder)) == 0 else { throw system(path) }
    }

    /// File systems need not say what an entry is (readdir(3)); then the file itself is asked.
    static func kind(_ type: UInt8, of path: String) throws(PrivateFile.Failure) -> Kind? {
        switch Int(type) {
        case Int(DT_REG): return .file
        case Int(DT_DIR): return .folder
        case Int(DT_LNK): return .link
        case Int(DT_UNKNOWN): break
        default: return .other
        }
        var status = stat()
        guard lstat(path, &status) == 0 else { if errno == ENOENT { return nil } else { throw system(path) } }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .folder
        case S_IFLNK: return .link
        default: return .other
        }
    }

    private static func syncFile(_ path: String) throws(PrivateFile.Failure) {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        // Another vault's object that was replaced meanwhile.
        guard file >= 0 else { if errno == ENOENT { return } else { throw system(path) } }
        defer { close(file) }
        guard fsync(file) == 0 else { throw system(path) }
    }

    private static func system(_ path: String) -> PrivateFile.Failure {
        .system("\(path): \(String(cString: strerror(errno)))")
    }
}
