import Foundation

/// The folder in which this device keeps what belongs to its backup: settings, and the key where there is no keychain.
struct DeviceFolder: Sendable {
    let path: String

    /// - Parameter path: nil for the usual place, `$XDG_STATE_HOME/coffer` or `~/.local/state/coffer`.
    init(path: String?) {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_STATE_HOME"] ?? "\(environment["HOME"] ?? NSHomeDirectory())/.local/state"
        let chosen = path.flatMap { $0.isEmpty ? nil : $0 } ?? "\(base)/coffer"
        // From the root, so that a later run from elsewhere means the same folder.
        self.path = chosen.hasPrefix("/") ? chosen : "\(FileManager.default.currentDirectoryPath)/\(chosen)"
    }

    /// Where encrypted copies of databases lie. They are a cache: whoever deletes them has a larger backup once.
    var copies: String { path("copies") }

    /// The same for databases that are imported: a backup removes the copies of databases that it has not seen.
    var importCopies: String { path("import-copies") }

    func deleteCopies() {
        for copies in [copies, importCopies] { try? FileManager.default.removeItem(atPath: copies) }
    }

    private func path(_ name: String) -> String { "\(path)/\(name)" }

    /// The file's bytes, or nil if it is not there.
    func read(_ name: String) throws(CofferError) -> [UInt8]? {
        let file = open(path(name), O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure(name)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_size < 16 << 20 else { throw failure(name) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = Foundation.read(file, &bytes, bytes.count)
        guard count == bytes.count else { throw failure(name) }
        return bytes
    }

    /// Writes a file that only its owner may read, whole or not at all.
    func write(_ name: String, _ bytes: [UInt8]) throws(CofferError) {
        try create()
        let temporary = path(".\(name)-\(UUID().uuidString)")
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure(name) }
        let written = Foundation.write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        close(file)
        guard written, rename(temporary, path(name)) == 0 else {
            let error = failure(name)
            unlink(temporary)
            throw error
        }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    func create() throws(CofferError) {
        guard (try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)) != nil
        else { throw failure("") }
        chmod(path, 0o700)
    }

    func delete(_ name: String) { unlink(path(name)) }

    func failure(_ name: String) -> CofferError {
        CofferError(
            .damagedState, "\(path(name)) cannot be used: \(String(cString: strerror(errno))).",
            advice: "Check the permissions and the space of that folder.")
    }
}
