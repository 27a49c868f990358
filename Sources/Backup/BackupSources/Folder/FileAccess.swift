import BackupEngine
import Foundation

/// The system's words for the last error.
func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// An open file that closes itself.
final class FileHandleOwner {
    let file: Int32

    /// - Parameter followingLink: for a path that a person typed.
    /// - Returns: nil sets `errno`.
    init?(_ path: [CChar], followingLink: Bool = false) {
        file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (followingLink ? 0 : O_NOFOLLOW))
        guard file >= 0 else { return nil }
    }

    // Closing what was never opened would change `errno`.
    deinit { if file >= 0 { close(file) } }

    /// As many of the bytes as there are.
    func bytes(at offset: UInt64, count: Int) throws(SourceError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        var failure: SourceError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(SourceError) {
                got = try readAvailable(file, into: buffer, at: off_t(offset))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        if got < count { bytes.removeLast(count - got) }
        return bytes
    }
}

/// Fills the buffer from a place in a file; throws `.changed` if the file ends before.
func readFully(
    _ file: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: off_t
) throws(SourceError) {
    guard try readAvailable(file, into: buffer, at: offset) == buffer.count else { throw .changed }
}

/// Reads as much of the buffer as the file has.
func readAvailable(
    _ file: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: off_t
) throws(SourceError) -> Int {
    var count = 0
    while count < buffer.count {
        let got = pread(file, buffer.baseAddress.map { $0 + count }, buffer.count - count, offset + off_t(count))
        if got < 0, errno == EINTR { continue }
        guard got >= 0 else { throw .unreadable(systemMessage()) }
        if got == 0 { break }
        count += got
    }
    return count
}

/// A file that a person named, opened to be read.
package struct GivenFile {
    package struct Unreadable: Error {
        /// The system's words.
        package let words: String
    }

    let handle: FileHandleOwner
    let status: FileStatus

    /// - Parameter path: as the system takes it; symbolic links are followed.
    package init(_ path: [UInt8]) throws(Unreadable) {
        guard let handle = FileHandleOwner(systemPath(path), followingLink: true),
            let status = FileStatus.of(handle.file)
        else { throw Unreadable(words: systemMessage()) }
        guard status.type == S_IFREG else { throw Unreadable(words: "it is no file") }
        self.handle = handle
        self.status = status
    }

    /// Hands the file on from its front, in pieces and in constant memory.
    ///
    /// - Parameter isDone: asked after each piece: whether the rest changes nothing.
    /// - Returns: why it could not be read to its end; nil if it was.
    package func read<Failure: Error>(
        pieceBytes: Int, until isDone: () -> Bool = { false },
        _ take: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> Unreadable? {
        try readWhole(handle.file, pieceBytes: pieceBytes, until: isDone, take).map { Unreadable(words: $0) }
    }
}

/// Hands a file on from its front, in pieces.
///
/// - Parameter isDone: asked after each piece.
/// - Returns: the system's words if it could not be read to its end.
func readWhole<Failure: Error>(
    _ file: Int32, pieceBytes: Int, until isDone: () -> Bool = { false },
    _ take: (UnsafeRawBufferPointer) throws(Failure) -> Void
) throws(Failure) -> String? {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 64)
    defer { buffer.deallocate() }
    var offset: off_t = 0
    repeat {
        guard let count = try? readAvailable(file, into: buffer, at: offset) else { return systemMessage() }
        guard count > 0 else { return nil }
        try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        offset += off_t(count)
    } while !isDone()
    return nil
}

/// Removes what a program that was killed left half written in an open folder; what one is writing just now is locked.
func removeAbandoned(in folder: Int32, where isTemporary: ([UInt8]) -> Bool) {
    let copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0 else { return }
    guard let stream = fdopendir(copy) else {
        close(copy)
        return
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        guard isTemporary(name) else { continue }
        let file = openat(folder, systemPath(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { continue }
        if flock(file, LOCK_EX | LOCK_NB) == 0 { unlinkat(folder, systemPath(name), 0) }
        close(file)
    }
}

/// Writes all of the bytes at a place in a file.
func writeFully(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: off_t) -> Bool {
    var done = 0
    while done < bytes.count {
        let written = pwrite(file, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + off_t(done))
        if written < 0, errno == EINTR { continue }
        guard written > 0 else { return false }
        done += written
    }
    return true
}
