package import BackupEngine
package import BackupFormat
import CCofferSystem
import Foundation

/// A store in a folder: a disk, a share, or what a cloud's own program keeps in step.
///
/// An object is written under a temporary name, synced, and linked to its name, which fails if the name is taken; then the folder
/// is synced. So a name never holds half an object, and an acknowledged object survives a loss of power.
package struct FolderStore: ObjectStore {
    private let root: String

    /// - Parameter path: the folder; it is made when the first object is written.
    package init(path: String) {
        root = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    package var place: String { root }

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try write(name, bytes, replacing: false)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try FolderUpload(name, path: path(name), folder: try makeFolder(of: name))
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try write(name, bytes, replacing: true)
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        let file = try open(name)
        defer { close(file) }
        return try Self.read(file, name, 0..<(try Self.size(file, name)))
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        let file = try open(name)
        defer { close(file) }
        return try Self.read(file, name, range)
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        let file = try open(name)
        defer { close(file) }
        return try Self.size(file, name)
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        var names: [ObjectName] = []
        for entry in try entries(folder.rawValue) {
            let path = "\(folder.rawValue)/\(entry)"
            if let name = ObjectName(path: path) {
                names.append(name)
            } else if folder == .packs, entry.count == 2 {
                names += try entries(path).compactMap { ObjectName(path: "\(path)/\($0)") }
            }
        }
        return names
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        guard unlink(path(name)) == 0 || errno == ENOENT else { throw storeError(errno, name) }
    }

    /// A file under a temporary name that nobody has written to since.
    package func abandoned(before seconds: UInt64, removing: Bool) async throws(ObjectStoreError) -> UInt64 {
        var bytes: UInt64 = 0
        for folder in try folders() {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            for name in names where name.hasPrefix(FolderUpload.temporaryPrefix) {
                var status = stat()
                guard lstat("\(folder)/\(name)", &status) == 0,
                    mode_t(status.st_mode) & mode_t(S_IFMT) == S_IFREG,
                    UInt64(clamping: Self.modifiedSeconds(status)) < seconds
                else { continue }
                if removing, unlink("\(folder)/\(name)") != 0, errno != ENOENT { continue }
                bytes += UInt64(clamping: status.st_size)
            }
        }
        return bytes
    }

    /// All that may hold objects, each before those in it.
    private func folders() throws(ObjectStoreError) -> [String] {
        let packs = ObjectName.Folder.packs.rawValue
        return [root] + ObjectName.Folder.allCases.map { "\(root)/\($0.rawValue)" }
            + (try entries(packs)).filter { $0.count == 2 }.map { "\(root)/\(packs)/\($0)" }
    }

    package func removeFolders() async {
        for folder in ((try? folders()) ?? []).reversed() { rmdir(folder) }
    }

    package func freeBytes() async -> UInt64? {
        var status = statvfs()
        guard statvfs(root, &status) == 0 else { return nil }
        return UInt64(exactly: coffer_free_bytes(&status))
    }

    private static func modifiedSeconds(_ status: stat) -> Int {
        #if canImport(Darwin)
            status.st_mtimespec.tv_sec
        #else
            status.st_mtim.tv_sec
        #endif
    }

    // MARK: System calls

    private func path(_ name: ObjectName) -> String { "\(root)/\(name.path)" }

    private func write(_ name: ObjectName, _ bytes: [UInt8], replacing: Bool) throws(ObjectStoreError) {
        let upload = try FolderUpload(name, path: path(name), folder: try makeFolder(of: name))
        do throws(ObjectStoreError) {
            var failure: ObjectStoreError?
            bytes.withUnsafeBytes { bytes in
                do throws(ObjectStoreError) { try upload.append(bytes) } catch { failure = error }
            }
            if let failure { throw failure }
            try upload.finish(replacing: replacing)
        } catch {
            upload.abandon()
            throw error
        }
    }

    /// Makes the folders above an object that are not there yet.
    ///
    /// Only a new store's keyring and header may make the store's own folder: a disk that went away leaves its empty mount
    /// point behind, and half a backup must not go there.
    private func makeFolder(of name: ObjectName) throws(ObjectStoreError) -> String {
        switch name {
        case .keyring, .header:
            do {
                try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            } catch {
                guard access(root, W_OK) == 0 else { throw .denied("cannot make the folder \(root)") }
                throw .failed("cannot make the folder \(root)")
            }
        case .pack, .index, .snapshot, .removal:
            // A store that is being copied here has its keyrings already, and its header last.
            guard access(self.path(.header), F_OK) == 0 || access("\(root)/keyring", F_OK) == 0
            else { throw .failed("\(root) is not there any more") }
        }
        var folder = root
        for part in name.path.split(separator: "/").dropLast() {
            let above = folder
            folder += "/\(part)"
            if mkdir(folder, 0o700) == 0 {
                try syncFolder(above, name)
            } else if errno != EEXIST {
                throw storeError(errno, name)
            }
        }
        return folder
    }

    /// What has the name but is no file is no object: a pipe must not make anyone wait for ever.
    private func open(_ name: ObjectName) throws(ObjectStoreError) -> Int32 {
        let file = Foundation.open(path(name), O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENXIO ? .notFound(name.path) : storeError(errno, name) }
        var status = stat()
        guard fstat(file, &status) == 0, mode_t(status.st_mode) & mode_t(S_IFMT) == S_IFREG else {
            close(file)
            throw .notFound(name.path)
        }
        return file
    }

    private static func size(_ file: Int32, _ name: ObjectName) throws(ObjectStoreError) -> Int {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw storeError(errno, name) }
        return Int(status.st_size)
    }

    package func read(
        _ name: ObjectName, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) async throws(ObjectStoreError) {
        let file = try open(name)
        defer { close(file) }
        var count = 0
        while count < buffer.count {
            let got = pread(
                file, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(offset + count))
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw storeError(errno, name) }
            guard got > 0 else { throw .truncated(name.path) }
            count += got
        }
    }

    private static func read(
        _ file: Int32, _ name: ObjectName, _ range: Range<Int>
    ) throws(ObjectStoreError) -> [UInt8] {
        // An object of a store is never larger than this; a larger file is somebody else's.
        guard range.count <= 1 << 31 else { throw .failed("\(name.path) is too large") }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count {
                let got = pread(
                    file, buffer.baseAddress.map { $0 + count }, range.count - count, off_t(range.lowerBound + count))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                guard got > 0 else { return }
                count += got
            }
        }
        guard failure == 0 else { throw storeError(failure, name) }
        guard bytes.count == range.count else { throw .truncated(name.path) }
        return bytes
    }

    /// The names in a folder; a folder that is not there holds nothing.
    private func entries(_ folder: String) throws(ObjectStoreError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")
        } catch {
            var status = stat()
            let path = "\(root)/\(folder)"
            if stat(path, &status) != 0 ? errno == ENOENT : mode_t(status.st_mode) & mode_t(S_IFMT) != S_IFDIR {
                return []
            }
            throw .denied("cannot list \(root)/\(folder)")
        }
    }
}

func storeError(_ code: Int32, _ name: ObjectName) -> ObjectStoreError {
    switch code {
    case ENOENT, ENOTDIR: .notFound(name.path)
    case EEXIST: .exists(name.path)
    case ENOSPC, EDQUOT: .full
    case EACCES, EPERM, EROFS: .denied(name.path)
    default: .failed("\(name.path): \(String(cString: strerror(code)))")
    }
}
