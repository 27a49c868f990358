package import BackupEngine
import CCofferSystem
import Foundation

/// A file that is written and read at any place.
final class OpenFile: DeviceFile {
    private let file: Int32

    init?(_ path: [CChar]) {
        file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return nil }
    }

    /// A file without a name: the system takes its room back when it is let go, even if the program is killed.
    init?(withoutNameIn folder: String) {
        file = coffer_open_temporary(folder)
        guard file >= 0 else { return nil }
    }

    // Closing what was never opened would change `errno`.
    deinit { if file >= 0 { close(file) } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        guard let offset = off_t(exactly: offset) else { return false }
        return (try? readAvailable(file, into: buffer, at: offset)) == buffer.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        guard let offset = off_t(exactly: offset) else { return false }
        return writeFully(file, bytes, at: offset)
    }
}

/// Files without names in a folder.
package struct TemporaryFiles: UnnamedFiles {
    private let folder: String

    package init(in folder: String) { self.folder = folder }

    /// nil sets `errno`.
    package func make() -> (any DeviceFile)? { OpenFile(withoutNameIn: folder) }
}
