package import BackupEngine
import Foundation

/// A folder on this device in which copies of databases lie, encrypted, for the next backup to be small.
package struct CopyFolder: PreviousCopies {
    /// 16 bytes for each of at most 131,072 frames, and what seals them.
    private static let listBytesMax: UInt64 = 4 << 20

    package let folderPath: String

    /// - Parameter path: the folder, which is made when something is written.
    package init(path: String) { folderPath = path }

    private func file(_ name: String, _ ending: String) -> [CChar] {
        systemPath(Array(folderPath.utf8), Array("\(name).\(ending)".utf8))
    }

    package func list(_ name: String) -> [UInt8]? {
        guard let file = FileHandleOwner(file(name, "list")), let status = FileStatus.of(file.file),
            status.type == S_IFREG, status.bytes <= Self.listBytesMax
        else { return nil }
        return try? file.bytes(at: 0, count: Int(status.bytes))
    }

    package func slots(_ name: String) -> (any DeviceFile)? {
        guard (try? FileManager.default.createDirectory(atPath: folderPath, withIntermediateDirectories: true)) != nil
        else { return nil }
        chmod(folderPath, 0o700)
        return OpenFile(file(name, "slots"))
    }

    package func stage(_ name: String, list: [UInt8]) -> Bool {
        let staged = open(file(name, "staged"), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard staged >= 0 else { return false }
        defer { close(staged) }
        return list.withUnsafeBytes { writeFully(staged, $0, at: 0) }
    }

    /// Nothing waits for the disk: after a crash of the machine the list or a slot is at worst one that does not open.
    package func publish(_ name: String) { rename(file(name, "staged"), file(name, "list")) }

    package var freeBytes: UInt64? { BackupSources.freeBytes(near: folderPath) }

    package func keepOnly(_ names: Set<String>) {
        for file in (try? FileManager.default.contentsOfDirectory(atPath: folderPath)) ?? [] {
            let parts = file.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, ["list", "slots", "staged"].contains(parts[1]), !names.contains(parts[0]) else {
                continue
            }
            unlink("\(folderPath)/\(file)")
        }
    }
}
