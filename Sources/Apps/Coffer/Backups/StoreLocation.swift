import BackupEngine
import ObjectStores

/// Where a store lies, as a person writes it: a folder's path, `file:` and the path, or `s3:` and the URL of a bucket.
enum StoreLocation {
    private static let schemes = ["webdav", "gdrive", "icloud", "rclone", "http", "https"]

    /// - Parameter device: knows who signs in at the store.
    static func open(
        _ text: String, limit: TransferLimit? = nil, device: DeviceFolder
    ) throws(CofferError) -> any ObjectStore {
        if let address = try bucket(text) {
            let credentials = try StoreSignIns(device).credentials(for: address)
            return (limit ?? .off).applied(to: S3Store(S3Client(address, credentials, now: secondsSince1970)))
        }
        if let scheme = schemes.first(where: { text.hasPrefix("\($0):") }) {
            throw CofferError(
                .unsupportedStore, "Stores of the kind \(scheme): are not supported yet.",
                advice: "Name a folder, for example one that your cloud's own program keeps in step, or a bucket: "
                    + "s3:https://HOST/BUCKET/PREFIX.")
        }
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        guard !path.isEmpty else {
            throw CofferError(.unsupportedStore, "The store has no name.", advice: "Name a folder.")
        }
        return (limit ?? .off).applied(to: FolderStore(path: path))
    }

    /// The path from the root, so that a later run from elsewhere means the same place; of a bucket the one text for it.
    static func absolute(_ text: String, in workingFolder: String) throws(CofferError) -> String {
        if let address = try bucket(text) { return address.text }
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        return path.hasPrefix("/") || text.firstIndex(of: ":") != nil ? text : "\(workingFolder)/\(path)"
    }

    /// Whether it lies in this machine's file system.
    static func isFolder(_ text: String) -> Bool { !text.hasPrefix(S3Address.scheme) }

    /// Nil if it is something else.
    static func bucket(_ text: String) throws(CofferError) -> S3Address? {
        guard text.hasPrefix(S3Address.scheme) else { return nil }
        do { return try S3Address(text) } catch {
            throw CofferError(
                .unsupportedStore, error.words,
                advice:
                    "The form is s3:https://HOST/BUCKET/PREFIX, with ?region=REGION if it is needed (Docs/Stores.md).")
        }
    }
}

extension S3Address.Malformed {
    /// Without the text itself, in which a key may stand.
    fileprivate var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a bucket."
        case .hasCredentials:
            "The address holds a name or a key, which do not belong there: they would be shown and kept. Nothing was kept. If it was "
                + "a secret key, others may have seen it in this command."
        case .notEncrypted:
            "The address begins with http:, which anyone on the way can read and change. That is for this machine alone."
        case .noBucket: "The address names no bucket."
        case .badBucket: "The bucket's name has 3 to 63 small letters, digits, dots and hyphens."
        case .badPrefix:
            "What follows the bucket may have letters, digits and -._~ between single slashes, and no part that is . or .. alone."
        case .unknownOption(let name): "The address has an option \(name), which is unknown or has no such value."
        }
    }
}
