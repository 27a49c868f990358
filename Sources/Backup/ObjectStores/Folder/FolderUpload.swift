import BackupEngine
import BackupFormat
import CCofferSystem
import Foundation

/// A file under a temporary name that becomes an object when it is complete.
final class FolderUpload: ObjectUpload {
    static let temporaryPrefix = ".writing-"

    private let name: ObjectName
    private let path: String
    private let folder: String
    private let temporary: String
    private var file: Int32

    /// - Parameter folder: where the object goes; it is there.
    init(_ name: ObjectName, path: String, folder: String) throws(ObjectStoreError) {
        self.name = name
        self.path = path
        self.folder = folder
        temporary = "\(folder)/\(Self.temporaryPrefix)\(UUID().uuidString)"
        file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw storeError(errno, name) }
    }

    deinit { abandon() }

    func append(_ bytes: UnsafeRawBufferPointer) throws(ObjectStoreError) {
        guard coffer_write_once(file, bytes.baseAddress, bytes.count) == 0 else { throw storeError(errno, name) }
    }

    func finish() throws(ObjectStoreError) { try finish(replacing: false) }

    func finish(replacing: Bool) throws(ObjectStoreError) {
        guard fsync(file) == 0 else { throw storeError(errno, name) }
        close(file)
        file = -1
        if replacing {
            guard rename(temporary, path) == 0 else { throw storeError(errno, name) }
        } else {
            try publish()
        }
        try syncFolder(folder, name)
    }

    /// Fails if the name is taken.
    private func publish() throws(ObjectStoreError) {
        if link(temporary, path) == 0 {
            unlink(temporary)
            return
        }
        let code = errno
        guard code == EPERM || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK else {
            throw storeError(code, name)
        }
        // A file system without hard links: the check leaves a moment for another writer, but ids are random.
        guard access(path, F_OK) != 0 else { throw .exists(name.path) }
        guard rename(temporary, path) == 0 else { throw storeError(errno, name) }
    }

    func abandon() {
        if file >= 0 { close(file) }
        file = -1
        unlink(temporary)
    }
}

func syncFolder(_ path: String, _ name: ObjectName) throws(ObjectStoreError) {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw storeError(errno, name) }
    defer { close(folder) }
    // Some network file systems cannot sync folders and say EINVAL; the file itself is synced.
    guard fsync(folder) == 0 || errno == EINVAL else { throw storeError(errno, name) }
}
