import CCofferSystem
import Foundation

/// Why a file could not be put into a folder.
package enum OutputError: Error, Equatable, Sendable {
    /// The path itself: a name that the file system does not take, or something else in its way, a symbolic link included.
    case place(String)
    /// No room, or the folder fails.
    case failed(String)
}

/// A folder into which files are put that were proven before: below it and nowhere else, and never over anything.
///
/// Every name is used relative to an open folder and never followed through a symbolic link. A file is written under a temporary name
/// and linked to its own when the caller says so.
package final class OutputFolder {
    fileprivate static let temporaryPrefix = ".coffer-opening-"

    fileprivate let root: Int32

    /// - Parameter path: made, readable by its owner alone, if it is not there.
    package init(path: String) throws(OutputError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .failed("it cannot be made")
        }
        root = Foundation.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw .failed(systemMessage()) }
        removeAbandoned(in: root, where: Self.isTemporary)
    }

    deinit { close(root) }

    /// What a file is called before it has its name. No other name here may look so, or the next run would remove it.
    fileprivate static func isTemporary(_ name: [UInt8]) -> Bool {
        guard name.starts(with: temporaryPrefix.utf8) else { return false }
        return UUID(uuidString: String(decoding: name.dropFirst(temporaryPrefix.utf8.count), as: UTF8.self)) != nil
    }

    package func newFile() throws(OutputError) -> OutputFile { try OutputFile(in: self) }

    /// The folder that a file goes to, made as far as it is not there. The caller closes it.
    fileprivate func folder(at names: ArraySlice<[UInt8]>) throws(OutputError) -> Int32 {
        var folder = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .failed(systemMessage()) }
        for name in names {
            let name = systemPath(name)
            let isNew = mkdirat(folder, name, 0o700) == 0
            let isThere = isNew || errno == EEXIST
            if isNew { fsync(folder) }
            let next = isThere ? openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1
            let error = errno
            close(folder)
            guard next >= 0 else { throw OutputFile.error(error, isBelow: true) }
            folder = next
        }
        return folder
    }
}

/// A file in an `OutputFolder` that has no name of its own yet, and vanishes if it does not get one.
package final class OutputFile {
    private static let namesMax = 1_000
    private static let comparedBytes = 256 << 10

    private let folder: OutputFolder
    private let file: Int32
    private let temporary: [CChar]
    private var byteCount: UInt64 = 0

    fileprivate init(in folder: OutputFolder) throws(OutputError) {
        self.folder = folder
        temporary = systemPath(Array("\(OutputFolder.temporaryPrefix)\(UUID().uuidString)".utf8))
        file = openat(folder.root, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .failed(systemMessage()) }
        flock(file, LOCK_EX | LOCK_NB)
    }

    deinit {
        unlinkat(folder.root, temporary, 0)
        close(file)
    }

    package func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
        guard writeFully(file, bytes, at: off_t(byteCount)) else { throw .failed(systemMessage()) }
        byteCount += UInt64(bytes.count)
    }

    /// Gives the file its name, when it is on the disk; another one with a number if something else has it.
    ///
    /// - Parameter modifiedSeconds: nil for now.
    /// - Returns: the name's path, and whether this very content was there under it already.
    package func publish(
        at path: [[UInt8]], modifiedSeconds: Int64?
    ) throws(OutputError) -> (path: [UInt8], wasThere: Bool) {
        guard let name = path.last else { throw .place("it has no name") }
        let isBelow = path.count > 1
        guard isBelow || !OutputFolder.isTemporary(name) else {
            throw .place("so are files called that are half written")
        }
        if let modifiedSeconds {
            var times = [timespec](repeating: timespec(tv_sec: Int(modifiedSeconds), tv_nsec: 0), count: 2)
            futimens(file, &times)
        }
        guard fsync(file) == 0 else { throw .failed(systemMessage()) }
        let target = try folder.folder(at: path.dropLast())
        defer { close(target) }
        for number in 1...Self.namesMax {
            let candidate = number == 1 ? name : Self.numbered(name, number)
            let wasThere = try link(to: candidate, in: target, isBelow: isBelow)
            guard let wasThere else { continue }
            if !wasThere { fsync(target) }
            return (Array((path.dropLast() + [candidate]).joined(separator: [0x2f])), wasThere)
        }
        throw .place("\(Self.namesMax) files have that name already")
    }

    /// - Returns: whether the content was there; nil if something else is.
    private func link(to name: [UInt8], in target: Int32, isBelow: Bool) throws(OutputError) -> Bool? {
        let name = systemPath(name)
        if linkat(folder.root, temporary, target, name, 0) == 0 { return false }
        switch errno {
        case EEXIST: return isSame(name, in: target) ? true : nil
        case EPERM, EOPNOTSUPP, EMLINK, ENOSYS:
            // A file system without links. Another program could put something there just now; this one does not.
            guard faccessat(target, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 else {
                return isSame(name, in: target) ? true : nil
            }
            guard renameat(folder.root, temporary, target, name) == 0 else { throw Self.error(errno, isBelow: isBelow) }
            return false
        default: throw Self.error(errno, isBelow: isBelow)
        }
    }

    private func isSame(_ name: [CChar], in target: Int32) -> Bool {
        let other = openat(target, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard other >= 0 else { return false }
        defer { close(other) }
        guard let status = FileStatus.of(other), status.type == S_IFREG, status.bytes == byteCount else { return false }
        var (left, right) = (
            [UInt8](repeating: 0, count: Self.comparedBytes), [UInt8](repeating: 0, count: Self.comparedBytes)
        )
        for start in stride(from: 0, to: byteCount, by: Self.comparedBytes) {
            let count = Int(min(byteCount - start, UInt64(Self.comparedBytes)))
            func read(_ file: Int32, _ bytes: inout [UInt8]) -> Bool {
                bytes.withUnsafeMutableBytes { buffer in
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                    return (try? readFully(file, into: part, at: off_t(start))) != nil
                }
            }
            guard read(file, &left), read(other, &right), left[..<count] == right[..<count] else { return false }
        }
        return true
    }

    /// `IMG.jpg`, `IMG (2).jpg`, …
    private static func numbered(_ name: [UInt8], _ number: Int) -> [UInt8] {
        let mark = Array(" (\(number))".utf8)
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return name + mark }
        return name[..<dot] + mark + name[dot...]
    }

    /// - Parameter isBelow: a folder in the output folder is not as that is; the other files are not in its way.
    fileprivate static func error(_ code: Int32, isBelow: Bool) -> OutputError {
        switch code {
        case EACCES, EPERM, EROFS, EXDEV: isBelow ? .place(systemMessage(code)) : .failed(systemMessage(code))
        case ENAMETOOLONG, ELOOP, ENOTDIR, EILSEQ, EINVAL, EEXIST, EISDIR: .place(systemMessage(code))
        default: .failed(systemMessage(code))
        }
    }
}
