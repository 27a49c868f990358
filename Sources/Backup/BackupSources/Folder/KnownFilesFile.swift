package import BackupEngine
import Foundation

/// Known files in one file of this device, each part behind its length.
package struct KnownFilesFile: KnownFilesStorage {
    private let path: String

    /// - Parameter path: in a folder that is there.
    package init(path: String) { self.path = path }

    package func reader() -> (any KnownFilesReader)? { PartReader(path: path) }

    package func writer() -> (any KnownFilesWriter)? { PartWriter(path: path) }
}

private final class PartReader: KnownFilesReader {
    private static let partBytesMax = 64 << 20
    private let file: UnsafeMutablePointer<FILE>

    init?(path: String) {
        guard let file = fopen(path, "re") else { return nil }
        self.file = file
    }

    deinit { fclose(file) }

    func next() -> [UInt8]? {
        var length: UInt32 = 0
        guard fread(&length, 4, 1, file) == 1, length <= Self.partBytesMax else { return nil }
        var part = [UInt8](repeating: 0, count: Int(length))
        return fread(&part, 1, part.count, file) == part.count ? part : nil
    }
}

private final class PartWriter: KnownFilesWriter {
    private let path: String
    private let temporary: String
    private let file: UnsafeMutablePointer<FILE>
    private var isWhole = true
    private var isFinished = false

    init?(path: String) {
        self.path = path
        temporary = "\(path).new"
        // A name of one's own for each backup is not worth it: two at a time spoil this cache alone, and it notices.
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        guard let file = fdopen(descriptor, "w") else {
            close(descriptor)
            return nil
        }
        self.file = file
    }

    deinit {
        guard !isFinished else { return }
        fclose(file)
        unlink(temporary)
    }

    func append(_ part: [UInt8]) {
        var length = UInt32(clamping: part.count)
        isWhole = isWhole && fwrite(&length, 4, 1, file) == 1 && fwrite(part, 1, part.count, file) == part.count
    }

    func finish() {
        isFinished = true
        // It is not synced: after a loss of power, what does not open is forgotten.
        guard fclose(file) == 0, isWhole, rename(temporary, path) == 0 else {
            unlink(temporary)
            return
        }
    }
}
