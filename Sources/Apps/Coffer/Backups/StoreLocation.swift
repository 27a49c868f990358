import BackupEngine
import ObjectStores
import Primitives

/// Where a store lies, as a person writes it: a folder's path, or an address that begins with its kind.
enum StoreLocation {
    /// Perhaps with `file:` before it.
    case folder(path: String)
    case s3(S3Address)
    case webDAV(WebDAVAddress)
    case rclone(RcloneAddress)
    case gdrive(DriveAddress)
    case icloud(CloudKitAddress)

    /// What begins so is no folder.
    private static let kinds = [
        S3Address.scheme, WebDAVAddress.scheme, RcloneAddress.scheme, DriveAddress.scheme, CloudKitAddress.scheme,
    ]
    private static let unsupportedKinds = ["http", "https"]

    init(_ text: String) throws(CofferError) {
        if text.hasPrefix(S3Address.scheme) {
            do { self = .s3(try S3Address(text)) } catch { throw CofferError(error) }
            return
        }
        if text.hasPrefix(WebDAVAddress.scheme) {
            do { self = .webDAV(try WebDAVAddress(text)) } catch { throw CofferError(error) }
            return
        }
        if text.hasPrefix(RcloneAddress.scheme) {
            do { self = .rclone(try RcloneAddress(text)) } catch { throw CofferError(error) }
            return
        }
        if text.hasPrefix(DriveAddress.scheme) {
            do { self = .gdrive(try DriveAddress(text)) } catch { throw CofferError(error) }
            return
        }
        if text.hasPrefix(CloudKitAddress.scheme) {
            do { self = .icloud(try CloudKitAddress(text)) } catch { throw CofferError(error) }
            return
        }
        if let kind = Self.unsupportedKinds.first(where: { text.hasPrefix("\($0):") }) {
            throw CofferError(
                .unsupportedStore, "Stores of the kind \(kind): are not supported yet.",
                advice: "Name a folder, for example one that your cloud's own program keeps in step, a bucket "
                    + "(s3:https://HOST/BUCKET/PREFIX), a folder on a server (webdav:https://HOST/PATH) or of Google Drive "
                    + "(gdrive:FOLDER), or what rclone reaches (rclone:REMOTE:PATH).")
        }
        if let kind = Self.unknownKind(text) {
            throw CofferError(
                .unsupportedStore, "\(kind): is no kind of store that Coffer knows. Nothing was made.",
                advice:
                    "Kinds are written in small letters, with nothing before them. A folder of that name is ./\(kind):…"
            )
        }
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        guard !path.isEmpty else {
            throw CofferError(.unsupportedStore, "The store has no name.", advice: "Name a folder.")
        }
        self = .folder(path: path)
    }

    /// What stands before the first colon, if it looks like a kind of store: a mistyped address, which may hold a secret, must not
    /// become a folder's name.
    private static func unknownKind(_ text: String) -> String? {
        let kind = text.drop { $0.isWhitespace }.prefix {
            $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0))
        }
        guard (2...20).contains(kind.count), kind.first?.isLetter == true, kind.endIndex < text.endIndex,
            text[kind.endIndex] == ":", text.startIndex < kind.startIndex || kind != "file"
        else { return nil }
        return String(kind)
    }

    /// Whose it is, and how this device gets in; nil where nobody signs in.
    var account: StoreAccount? {
        switch self {
        case .folder, .rclone: nil
        case .s3(let address): StoreAccount(address)
        case .webDAV(let address): StoreAccount(address)
        case .gdrive(let address): StoreAccount(address)
        case .icloud(let address): StoreAccount(address)
        }
    }

    var isGoogleDrive: Bool { if case .gdrive = self { true } else { false } }

    /// How a person signs in there.
    var signInWay: Device.StoreSignInForm.Way {
        switch self {
        case .folder, .s3, .webDAV, .rclone: .nameAndSecret
        case .gdrive: .google
        case .icloud: .apple
        }
    }

    /// Whether what the owner of the client, or of the container, has given is there from an earlier sign-in, and whole.
    func knowsClient(in device: DeviceFolder) -> Bool {
        switch self {
        case .folder, .s3, .webDAV, .rclone: false
        case .gdrive(let address): (try? GoogleDriveAccess(address, device).knownClient()) != nil
        case .icloud(let address): (try? ICloudAccess(address, device).apiToken()) != nil
        }
    }

    /// - Parameters:
    ///   - device: knows who signs in at the store.
    ///   - capabilities: what this device has found out of it.
    func open(
        device: DeviceFolder, capabilities: StoreCapabilities? = nil
    ) throws(CofferError) -> any ObjectStore {
        switch self {
        case .folder(let path): FolderStore(path: path)
        case .s3(let address):
            S3Store(
                S3Client(address, try StoreSignIns(device).s3Credentials(for: address), now: secondsSince1970),
                capabilities: capabilities ?? StoreCapabilities())
        case .webDAV(let address):
            WebDAVStore(
                WebDAVClient(address, try StoreSignIns(device).webDAVCredentials(for: address), now: secondsSince1970))
        case .rclone(let address): try RcloneStore(opening: address)
        case .gdrive(let address): try GoogleDriveAccess(address, device).store()
        case .icloud(let address): try ICloudAccess(address, device).store()
        }
    }

    /// As somebody who is about to sign in.
    ///
    /// - Throws: if it cannot be the name or the secret of such a store.
    func store(signingIn name: String, _ secret: SecretBytes) throws(CofferError) -> any ObjectStore {
        switch self {
        case .folder(let path): FolderStore(path: path)
        case .s3(let address):
            S3Store(S3Client(address, try S3Credentials(signingIn: name, secret), now: secondsSince1970))
        case .webDAV(let address):
            WebDAVStore(
                WebDAVClient(address, try WebDAVCredentials(signingIn: name, secret), now: secondsSince1970))
        case .rclone(let address): try RcloneStore(opening: address)
        case .gdrive, .icloud:
            throw CofferError(
                .storeSignIn, "You sign in there in a browser. Nothing was kept.",
                advice: "Run coffer store login with this address.")
        }
    }

    static func open(
        _ text: String, limit: TransferLimit? = nil, device: DeviceFolder, capabilities: StoreCapabilities? = nil
    ) throws(CofferError) -> any ObjectStore {
        (limit ?? .off).applied(to: try StoreLocation(text).open(device: device, capabilities: capabilities))
    }

    /// A place of its own in a store, of which no backup there knows: no object's name begins like this.
    static func forTests(in text: String) -> String {
        let name = "coffer-store-test"
        guard !isFolder(text) else { return text.hasSuffix("/") ? text + name : "\(text)/\(name)" }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        if text.hasPrefix(DriveAddress.scheme) {
            return "\(parts[0])\(DriveAddress.testSuffix)" + (parts.count > 1 ? "?\(parts[1])" : "")
        }
        if text.hasPrefix(CloudKitAddress.scheme) {
            return "\(parts[0])\(CloudKitAddress.testSuffix)" + (parts.count > 1 ? "?\(parts[1])" : "")
        }
        let path = parts[0].hasSuffix("/") || parts[0].hasSuffix(":") ? "\(parts[0])\(name)" : "\(parts[0])/\(name)"
        return parts.count > 1 ? "\(path)?\(parts[1])" : path
    }

    /// Whether it lies in this machine's file system.
    static func isFolder(_ text: String) -> Bool { !kinds.contains { text.hasPrefix($0) } }

    /// The path from the root, so that a later run from elsewhere means the same place; of other kinds the one text for it.
    static func absolute(_ text: String, in workingFolder: String) throws(CofferError) -> String {
        guard isFolder(text) else {
            switch try StoreLocation(text) {
            case .folder(let path): return path
            case .s3(let address): return address.text
            case .webDAV(let address): return address.text
            case .rclone(let address): return address.text
            case .gdrive(let address): return address.text
            case .icloud(let address): return address.text
            }
        }
        let path = text.hasPrefix("file:") ? String(text.dropFirst("file:".count)) : text
        return path.hasPrefix("/") || text.firstIndex(of: ":") != nil ? text : "\(workingFolder)/\(path)"
    }
}
