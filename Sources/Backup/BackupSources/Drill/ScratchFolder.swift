package import BackupEngine
import BackupFormat
import Foundation
import Synchronization

/// Why a scratch folder cannot be used; nothing was changed.
package enum ScratchFolderError: Error, Equatable, Sendable {
    /// Another drill uses it.
    case inUse
    /// It is not there and cannot be made, or what is left of an earlier drill cannot be removed.
    case cannotUse(String)
}

/// A folder in which a drill restores, readable by its owner alone, and removed with all that is in it when it is let go.
///
/// A drill that was killed leaves it behind; whoever makes the next one at the same place removes that first. A lock on
/// the folder tells what was left from what is in use.
package final class ScratchFolder: DrillScratch {
    /// In the folder that a person names.
    package static let name = ".coffer-drill"
    private static let removalsMax = 8
    /// The folders that this process holds.
    private static let held = Mutex<Set<String>>([])

    private let path: String
    private var handle: Int32
    private let restored: FolderSource
    private var databasesChecked = 0

    /// - Parameter parent: a folder that is there.
    package init(in parent: String) throws(ScratchFolderError) {
        let path = "\(parent)/\(Self.name)"
        let handle = try Self.lock(path, makingIt: true)
        do throws(ScratchFolderError) {
            try Self.empty(path)
            guard mkdir("\(path)/restored", 0o700) == 0, mkdir("\(path)/databases", 0o700) == 0 else {
                throw .cannotUse(systemMessage())
            }
            do { restored = try FolderSource(path: "\(path)/restored") } catch { throw .cannotUse("\(error)") }
        } catch {
            close(handle)
            throw error
        }
        self.path = path
        self.handle = handle
        _ = Self.held.withLock { $0.insert(path) }
    }

    deinit { remove() }

    /// Removes everything; also done when the last holder lets go.
    package func remove() {
        guard handle >= 0 else { return }
        try? Self.empty(path)
        rmdir(path)
        _ = Self.held.withLock { $0.remove(path) }
        close(handle)
        handle = -1
    }

    /// Whether a drill is under way there.
    package static func isInUse(in parent: String) -> Bool {
        do {
            close(try lock("\(parent)/\(name)", makingIt: false))
            return false
        } catch {
            return error == .inUse
        }
    }

    /// Removes what a drill that was killed has left, unless one is under way.
    ///
    /// - Parameter evenInUse: also what this process itself uses: for a program that ends in the middle of a drill.
    package static func removeRemains(in parent: String, evenInUse: Bool = false) {
        let path = "\(parent)/\(name)"
        if evenInUse, held.withLock({ $0.contains(path) }) {
            // The drill goes on writing until its folders are gone.
            for _ in 0..<removalsMax {
                // Never through a link, nor what is somebody else's.
                guard let status = FileStatus.ofLink(systemPath(Array(path.utf8))), status.type == S_IFDIR,
                    status.owner == geteuid()
                else { return }
                try? empty(path)
                rmdir(path)
            }
        } else if let handle = try? lock(path, makingIt: false) {
            try? empty(path)
            rmdir(path)
            close(handle)
        }
    }

    private static func lock(_ path: String, makingIt makes: Bool) throws(ScratchFolderError) -> Int32 {
        if makes, mkdir(path, 0o700) != 0, errno != EEXIST { throw .cannotUse(systemMessage()) }
        let handle = Foundation.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard handle >= 0 else { throw .cannotUse(systemMessage()) }
        // Somebody else's folder of that name is no place for what is restored.
        guard let status = FileStatus.of(handle), status.owner == geteuid(), fchmod(handle, 0o700) == 0 else {
            close(handle)
            throw .cannotUse("it belongs to somebody else")
        }
        guard flock(handle, LOCK_EX | LOCK_NB) == 0 else {
            close(handle)
            throw .inUse
        }
        return handle
    }

    /// Folders that were restored without permission to change them must go as well. No symbolic link is followed.
    private static func empty(_ path: String) throws(ScratchFolderError) {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return }
        for name in names {
            allowChanges(below: Array("\(path)/\(name)".utf8))
            do {
                try FileManager.default.removeItem(atPath: "\(path)/\(name)")
            } catch {
                throw .cannotUse("\(path)/\(name) is left of an earlier drill and cannot be removed")
            }
        }
    }

    private static func allowChanges(below folder: [UInt8]) {
        let path = systemPath(folder)
        guard FileStatus.ofLink(path)?.type == S_IFDIR, chmod(path, 0o700) == 0, let stream = opendir(path) else {
            return
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if Entry.isSafe(name: name) { allowChanges(below: folder + [UInt8(ascii: "/")] + name) }
        }
    }

    // MARK: What a drill asks for

    package var freeBytes: UInt64? {
        var status = statvfs()
        return fstatvfs(handle, &status) == 0 ? BackupSources.freeBytes(status) : nil
    }

    package var keepsOwners: Bool { geteuid() == 0 }

    package func target() throws(TargetError) -> any RestoreTarget {
        do { return try FolderTarget(path: "\(path)/restored", intoExisting: false) } catch {
            throw .failed("\(path)/restored")
        }
    }

    package func node(at path: [UInt8]) -> SourceNode? {
        guard var node = restored.node(at: path) else { return nil }
        node.metadata.attributes = restored.attributes(of: node)
        return node
    }

    package func open(_ path: [UInt8]) throws(SourceError) -> any SourceFile {
        try PlainFile(path: systemPath(Array("\(self.path)/restored".utf8), path))
    }

    /// Under a name that SQLite takes, whatever its own is.
    package func check(databaseAt path: [UInt8]) -> DatabaseSoundness {
        databasesChecked += 1
        let name = "\(self.path)/databases/\(databasesChecked).db"
        guard link(systemPath(Array("\(self.path)/restored".utf8), path), name) == 0, chmod(name, 0o600) == 0 else {
            return .unchecked(systemMessage())
        }
        return integrity(ofDatabase: name)
    }
}
