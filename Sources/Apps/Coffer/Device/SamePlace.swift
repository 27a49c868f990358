import BackupFormat
import Foundation

extension Device {
    /// A copy that is the store itself under another name, or lies within it, would be deleted with it.
    func requireApart(_ store: String, _ target: String) throws(CofferError) {
        guard StoreLocation.isFolder(store), StoreLocation.isFolder(target) else {
            guard store != target else {
                throw CofferError(
                    .storeTaken, "The backup is in \(store) already. Nothing was changed.",
                    advice: "Name another place.")
            }
            return
        }
        let (old, new) = (FolderIdentity.chain(of: store), FolderIdentity.chain(of: target))
        let isInside = old.last.flatMap { $0 }.map { new.contains($0) } ?? false
        let isAround = new.last.flatMap { $0 }.map { old.contains($0) } ?? false
        guard !isInside, !isAround, !sharesObjects(store, target) else {
            throw CofferError(
                .storeTaken,
                "\(target) is the folder where the backup is (\(store)), under whatever name, or one lies in the other. "
                    + "Nothing was changed.",
                advice: "Name a folder that has nothing to do with the present one.")
        }
    }

    /// Folders of their own, with a link to what is in the other.
    private func sharesObjects(_ store: String, _ target: String) -> Bool {
        ["coffer.json", "keyring", "packs", "index", "removals", "snapshots"].contains { name in
            guard let one = FolderIdentity(path: "\(store)/\(name)") else { return false }
            return FolderIdentity(path: "\(target)/\(name)") == one
        }
    }
}

/// Which folder or file it is, whatever it is called: by links, `..`, mounts, or in another case.
struct FolderIdentity: Hashable {
    private let device: UInt64
    private let inode: UInt64

    /// Nil if there is nothing.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    init?(file: Int32) {
        var status = stat()
        guard fstat(file, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// The folders above and the folder itself, from the root, as far as they are there. The last one is nil if the folder is
    /// not there.
    static func chain(of path: String) -> [FolderIdentity?] {
        let components = resolved(path).split(separator: "/")
        return (0...components.count).map { count in
            FolderIdentity(path: "/" + components.prefix(count).joined(separator: "/"))
        }
    }

    /// Without links and `..`; what is not there yet is taken as it is written.
    private static func resolved(_ path: String) -> String {
        var rest: [Substring] = []
        var present = path.split(separator: "/")
        while true {
            if let found = realpath("/" + present.joined(separator: "/"), nil) {
                defer { free(found) }
                let whole = String(cString: found) + rest.reversed().map { "/\($0)" }.joined()
                guard rest.contains("..") else { return whole }
                // What is behind it may be there.
                return resolved(withoutDots(whole))
            }
            guard let last = present.popLast() else { return path }
            rest.append(last)
        }
    }

    private static func withoutDots(_ path: String) -> String {
        var components: [Substring] = []
        for component in path.split(separator: "/") where component != "." {
            if component == ".." { _ = components.popLast() } else { components.append(component) }
        }
        return "/" + components.joined(separator: "/")
    }
}
