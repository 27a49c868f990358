import BackupEngine
import CCofferSystem
import Foundation

/// Where temporary files go that are too large for memory.
package func temporaryFolder() -> String { String(cString: coffer_temporary_folder()) }

/// What is free where a path is, or would be; nil if that cannot be told.
package func freeBytes(near path: String) -> UInt64? {
    var path = path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    var status = statvfs()
    while statvfs(path, &status) != 0 {
        guard errno == ENOENT, let slash = path.lastIndex(of: "/") else { return nil }
        path = slash == path.startIndex ? "/" : String(path[..<slash])
    }
    return freeBytes(status)
}

func freeBytes(_ status: statvfs) -> UInt64? {
    withUnsafePointer(to: status) { UInt64(exactly: coffer_free_bytes($0)) }
}

/// What the files below a folder take on the disk; 0 if there is none.
package func takenBytes(below folder: String) -> UInt64 {
    guard let source = try? FolderSource(path: folder), let root = try? source.root() else { return 0 }
    var pending = [root]
    var bytes: UInt64 = 0
    while let folder = pending.popLast() {
        guard let children = try? source.children(of: folder) else { continue }
        for node in children {
            switch node.kind {
            case .directory: pending.append(node)
            case .file(let count, _): bytes &+= min(count, node.dataBytes ?? count)
            case .symbolicLink, .other, .unreadable: break
            }
        }
    }
    return bytes
}
