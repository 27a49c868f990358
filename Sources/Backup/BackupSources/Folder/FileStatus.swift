import BackupEngine
import BackupFormat
import ByteCoding
import Foundation

/// What the file system says of a file, as far as a backup cares.
struct FileStatus: Equatable {
    let device: UInt64
    let inode: UInt64
    let mode: UInt32
    let links: UInt64
    let owner: UInt32
    let group: UInt32
    let bytes: UInt64
    let modified: Time
    let changed: Time
    /// What is allocated for it.
    let dataBytes: UInt64
    /// Whether less space is allocated than the file has bytes.
    var mayHaveHoles: Bool { dataBytes < bytes }

    struct Time: Equatable {
        let seconds: Int64
        let nanoseconds: UInt32
    }

    private init(_ status: stat) {
        device = UInt64(truncatingIfNeeded: status.st_dev)
        inode = UInt64(truncatingIfNeeded: status.st_ino)
        mode = UInt32(truncatingIfNeeded: status.st_mode)
        links = UInt64(truncatingIfNeeded: status.st_nlink)
        owner = status.st_uid
        group = status.st_gid
        bytes = UInt64(clamping: status.st_size)
        dataBytes = UInt64(clamping: status.st_blocks).multipliedReportingOverflow(by: 512).partialValue
        #if canImport(Darwin)
            modified = Time(status.st_mtimespec)
            changed = Time(status.st_ctimespec)
        #else
            modified = Time(status.st_mtim)
            changed = Time(status.st_ctim)
        #endif
    }

    /// Of the name itself, not of what a symbolic link points at; nil sets `errno`.
    static func ofLink(_ path: [CChar]) -> FileStatus? {
        var status = stat()
        return lstat(path, &status) == 0 ? FileStatus(status) : nil
    }

    static func of(_ file: Int32) -> FileStatus? {
        var status = stat()
        return fstat(file, &status) == 0 ? FileStatus(status) : nil
    }

    var type: mode_t { mode_t(mode) & mode_t(S_IFMT) }

    /// Whether nothing was written to the file between two looks at it (a new hard link changes neither).
    func hasSameContent(as other: FileStatus) -> Bool {
        device == other.device && inode == other.inode && bytes == other.bytes && modified == other.modified
    }

    var version: FileVersion {
        var writer = ByteWriter(capacity: 48)
        for number in [device, inode, bytes, UInt64(bitPattern: modified.seconds), UInt64(bitPattern: changed.seconds)]
        {
            writer.uint64(number)
        }
        writer.uint32(modified.nanoseconds)
        writer.uint32(changed.nanoseconds)
        return FileVersion(bytes: writer.bytes, changedSeconds: changed.seconds)
    }

    func metadata(_ attributes: [ExtendedAttribute]) -> Metadata {
        Metadata(
            mode: mode & 0o7777, owner: owner, group: group, modifiedSeconds: modified.seconds,
            modifiedNanoseconds: modified.nanoseconds, attributes: attributes)
    }
}

extension FileStatus.Time {
    init(_ time: timespec) {
        seconds = Int64(time.tv_sec)
        nanoseconds = UInt32(clamping: time.tv_nsec)
    }
}

/// A path as the system takes it: bytes, whatever their encoding, and a zero.
func systemPath(_ base: [UInt8], _ relative: [UInt8] = []) -> [CChar] {
    let bytes = relative.isEmpty ? base : base + [UInt8(ascii: "/")] + relative
    return bytes.map { CChar(bitPattern: $0) } + [0]
}
