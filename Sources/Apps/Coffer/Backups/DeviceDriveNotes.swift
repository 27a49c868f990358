import ByteCoding
import Foundation
import ObjectStores
import Primitives

/// A file in the device's folder. It is a cache: it is written whole, but nothing waits for the disk.
struct DeviceDriveNotes: DriveNotes {
    private let folder: DeviceFolder
    private let fileName: String

    init(folder: DeviceFolder, account: String) {
        self.folder = folder
        fileName = "gdrive-\(Hex.encode(Array(sha256(Array(account.utf8)).prefix(8)))).json"
    }

    private var lockName: String { "\(fileName).lock" }

    func read() -> [UInt8]? { (try? folder.read(fileName)) ?? nil }

    /// Programs that take no lock on the device (`coffer prune`, `coffer repair`) write beside others.
    func change(_ change: ([UInt8]?) -> [UInt8]) {
        try? folder.create()
        let lock = open("\(folder.path)/\(lockName)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if lock >= 0 { flock(lock, LOCK_EX) }
        defer { if lock >= 0 { close(lock) } }
        write(change(read()))
    }

    private func write(_ bytes: [UInt8]) {
        let temporary = "\(folder.path)/.\(fileName)-\(UUID().uuidString)"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        let isWritten = Foundation.write(file, bytes, bytes.count) == bytes.count
        close(file)
        guard isWritten, rename(temporary, "\(folder.path)/\(fileName)") == 0 else {
            unlink(temporary)
            return
        }
    }

    func delete() {
        folder.delete(fileName)
        folder.delete(lockName)
    }
}
