#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files that a simulated token wrote, and did not wait for.
enum TokenFolder {
    private static let depthMax = 2

    /// Returns when every file in the folder and the folders below it is on the medium.
    static func sync(_ path: String, depth: Int = 0) throws(PrivateFile.Failure) {
        guard let folder = opendir(path) else { throw system(path) }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            let file = "\(path)/\(name)"
            switch Int(entry.pointee.d_type) {
            case Int(DT_DIR): if depth < depthMax { try sync(file, depth: depth + 1) }
            case Int(DT_REG): try syncFile(file)
            default: continue
            }
        }
        guard fsync(dirfd(folder)) == 0 else { throw system(path) }
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
