import BackupEngine
import Foundation

/// A ledger in one file of this device.
package struct LedgerFile: LedgerStorage {
    private static let bytesMax: UInt64 = 64 << 20
    private let path: [CChar]
    private let temporary: [CChar]

    /// - Parameter path: in a folder that is there.
    package init(path: String) {
        self.path = systemPath(Array(path.utf8))
        temporary = systemPath(Array("\(path).new".utf8))
    }

    package func load() -> [UInt8]? {
        guard let file = FileHandleOwner(path), let status = FileStatus.of(file.file), status.type == S_IFREG,
            status.bytes <= Self.bytesMax
        else { return nil }
        return try? file.bytes(at: 0, count: Int(status.bytes))
    }

    /// Removes everything that it keeps.
    package func remove() {
        unlink(path)
        unlink(temporary)
    }

    package func save(_ bytes: [UInt8]) {
        // Two at a time spoil this cache alone, and it notices.
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        let isWhole = bytes.withUnsafeBytes { writeFully(file, $0, at: 0) }
        close(file)
        // Nothing waits for the disk: what does not survive a loss of power is forgotten.
        if !isWhole || rename(temporary, path) != 0 { unlink(temporary) }
    }
}
