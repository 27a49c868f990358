package import BackupEngine
import Foundation

/// Known files in one file of this device, each part behind its length. Beside it lies the one that is being written, or what a
/// backup left of it that was cut.
package struct KnownFilesFile: KnownFilesStorage {
    private let path: String
    private var written: String { "\(path).new" }
    private var cut: String { "\(path).cut" }

    /// - Parameter path: in a folder that is there.
    package init(path: String) { self.path = path }

    package func readers() -> [any KnownFilesReader] {
        keepLonger()
        return [cut, path].compactMap { PartReader(path: $0) }
    }

    package func writer() -> (any KnownFilesWriter)? {
        PartWriter(path: written) { isWhole in
            guard isWhole, rename(written, path) == 0 else { return }
            unlink(cut)
        }
    }

    /// Removes everything that it keeps.
    package func remove() {
        for path in [path, written, cut] { unlink(path) }
    }

    /// Of two backups that were cut one after the other, what came further.
    private func keepLonger() {
        if bytes(written) > bytes(cut) { rename(written, cut) }
    }

    private func bytes(_ path: String) -> off_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_size : 0
    }
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
    private let file: UnsafeMutablePointer<FILE>
    private let finished: (_ isWhole: Bool) -> Void
    private var isWhole = true
    private var isFinished = false

    /// - Parameter finished: called when the file is closed; what is not finished stays as it is.
    init?(path: String, finished: @escaping (_ isWhole: Bool) -> Void) {
        // A name of one's own for each backup is not worth it: two at a time spoil this cache alone, and it notices.
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        guard let file = fdopen(descriptor, "w") else {
            close(descriptor)
            return nil
        }
        self.file = file
        self.finished = finished
    }

    deinit {
        if !isFinished { fclose(file) }
    }

    func append(_ part: [UInt8]) {
        var length = UInt32(clamping: part.count)
        isWhole =
            isWhole && fwrite(&length, 4, 1, file) == 1 && fwrite(part, 1, part.count, file) == part.count
            && fflush(file) == 0
    }

    func finish() {
        isFinished = true
        // It is not synced: after a loss of power, what does not open is forgotten.
        let isClosed = fclose(file) == 0
        finished(isWhole && isClosed)
    }
}
