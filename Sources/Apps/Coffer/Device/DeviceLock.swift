import Foundation

/// Held by a command that changes what this device knows of its backup, so that no other one writes what it read before over
/// it: a backup on a schedule beside a replacement of the key. It ends with the process at the latest.
final class DeviceLock {
    private var file: Int32

    fileprivate init(_ file: Int32) { self.file = file }

    func release() {
        guard file >= 0 else { return }
        close(file)
        file = -1
    }

    deinit { release() }
}

extension DeviceFolder {
    static let lockName = "lock"

    /// Takes the lock, or says who has it.
    /// - Parameter creating: make the folder if it is not there; else there is nothing to be locked, and nothing is.
    func lock(creating: Bool = false) throws(CofferError) -> DeviceLock {
        if creating { try create() }
        let file = open("\(path)/\(Self.lockName)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            if !creating, errno == ENOENT || errno == ENOTDIR { return DeviceLock(-1) }
            throw failure(Self.lockName)
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let isTaken = errno == EWOULDBLOCK
            close(file)
            guard isTaken else { throw failure(Self.lockName) }
            throw CofferError(
                .busy, "Another coffer is at work with \(path). Nothing was changed.",
                advice: "Let it finish, or end it; then run the command again.")
        }
        // Whoever turned backup off took the file away.
        guard FolderIdentity(path: "\(path)/\(Self.lockName)") == FolderIdentity(file: file) else {
            close(file)
            return try lock(creating: creating)
        }
        return DeviceLock(file)
    }
}
