import BackupEngine
import ObjectStores

/// Where a store lies, as a person writes it: a folder's path, or `file:` and the path.
enum StoreLocation {
    private static let schemes = ["s3", "webdav", "gdrive", "icloud", "rclone", "http", "https"]

    static func open(_ text: String, limit: TransferLimit? = nil) throws(CofferError) -> any ObjectStore {
        if let scheme = schemes.first(where: { text.hasPrefix("\($0):") }) {
            throw CofferError(
                .unsupportedStore, "Stores of the kind \(scheme): are not supported yet.",
                advice: "Name a folder, for example one that your cloud's own program keeps in step.")
        }
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        guard !path.isEmpty else {
            throw CofferError(.unsupportedStore, "The store has no name.", advice: "Name a folder.")
        }
        return (limit ?? .off).applied(to: FolderStore(path: path))
    }

    /// The path from the root, so that a later run from elsewhere means the same place.
    static func absolute(_ text: String, in workingFolder: String) -> String {
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        return path.hasPrefix("/") || text.firstIndex(of: ":") != nil ? text : "\(workingFolder)/\(path)"
    }
}
