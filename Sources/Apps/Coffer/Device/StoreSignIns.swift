import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives

/// Who this device is at which bucket. Secrets lie in the keychain, or each in a file of its own that only its owner may read; the
/// list of them holds none.
struct StoreSignIns {
    private static let fileName = "store-sign-ins.json"
    private let folder: DeviceFolder

    init(_ folder: DeviceFolder) { self.folder = folder }

    struct Entry: Codable, Equatable {
        var accessKeyID: String
        var storage: KeyStorage
    }

    /// From the environment, as other programs have it, else as it was signed in.
    func credentials(for address: S3Address) throws(CofferError) -> S3Credentials {
        if let found = Self.environmentCredentials() { return found }
        guard let entry = try entries()[address.account] else {
            throw CofferError(
                .storeSignIn, "This device has no key for \(address.account). Nothing was read or written.",
                advice: "Run coffer store login \(address.text), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        }
        let secret = try entry.storage.load(
            item: Self.item(address.account), fileName: Self.secretFile(address.account), from: folder)
        guard let secret else {
            throw CofferError(
                .storeSignIn, "The key for \(address.account) is not where this device keeps it any more.",
                advice: "Run coffer store login \(address.text) again. The backups are not affected.")
        }
        return S3Credentials(accessKeyID: entry.accessKeyID, secretKey: secret)
    }

    static func environmentCredentials() -> S3Credentials? {
        let environment = ProcessInfo.processInfo.environment
        guard let id = environment["AWS_ACCESS_KEY_ID"], let secret = environment["AWS_SECRET_ACCESS_KEY"],
            !id.isEmpty, !secret.isEmpty
        else { return nil }
        let token = environment["AWS_SESSION_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        return S3Credentials(
            accessKeyID: id, secretKey: SecretBytes(copying: Array(secret.utf8)),
            sessionToken: token.map { SecretBytes(copying: Array($0.utf8)) })
    }

    func entries() throws(CofferError) -> [String: Entry] {
        guard let bytes = try folder.read(Self.fileName) else { return [:] }
        guard let entries = try? JSONDecoder().decode([String: Entry].self, from: Data(bytes)) else {
            throw CofferError(
                .damagedState, "\(folder.path)/\(Self.fileName) is damaged or was written by another version.",
                advice: "Delete this file and run coffer store login again. The backups are not affected.")
        }
        return entries
    }

    func save(_ credentials: S3Credentials, for account: String) throws(CofferError) {
        var entries = try entries()
        // Where the secret lay before, none is left.
        try remove(account, from: &entries)
        let storage = try KeyStorage.save(
            credentials.secretKey, item: Self.item(account), fileName: Self.secretFile(account), in: folder)
        entries[account] = Entry(accessKeyID: credentials.accessKeyID, storage: storage)
        try write(entries)
    }

    /// - Returns: whether there was one.
    func remove(_ account: String) throws(CofferError) -> Bool {
        var entries = try entries()
        guard entries[account] != nil else { return false }
        try remove(account, from: &entries)
        try write(entries)
        return true
    }

    private func remove(_ account: String, from entries: inout [String: Entry]) throws(CofferError) {
        entries[account]?.storage.delete(item: Self.item(account), fileName: Self.secretFile(account), from: folder)
        entries[account] = nil
    }

    private func write(_ entries: [String: Entry]) throws(CofferError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? encoder.encode(entries) else {
            throw CofferError(.internalError, "The list of stores cannot be written.", advice: "Please report this.")
        }
        try folder.write(Self.fileName, Array(bytes) + [0x0a])
    }

    private static func item(_ account: String) -> String { "sign-in \(account)" }

    private static func secretFile(_ account: String) -> String {
        "store-secret-\(Hex.encode(Array(sha256(Array(account.utf8)).prefix(8))))"
    }
}

extension Device {
    /// What this device knows of a bucket's account.
    public struct StoreSignIn: Codable, Equatable, Sendable {
        /// The bucket's URL.
        public let store: String
        public let accessKeyID: String
        /// `file` or `secret-service`.
        public let keptIn: String
    }

    /// Keeps the key of a bucket on this device, once the bucket has accepted it.
    ///
    /// - Parameters:
    ///   - location: the store; every prefix of a bucket has the same key.
    ///   - secret: the secret access key; it is wiped.
    public func signIn(
        to location: String, accessKeyID: String, wiping secret: inout [UInt8]
    ) async throws(CofferError) {
        let secretKey = SecretBytes(wiping: &secret)
        let address = try requireBucket(location)
        let isPlain = accessKeyID.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x2f && $0 != 0x2c }
        guard (1...256).contains(accessKeyID.utf8.count), isPlain, secretKey.count > 0 else {
            throw CofferError(
                .storeSignIn, "This is not the key of a bucket. Nothing was kept.",
                advice: "It has two parts: the access key ID, and the secret access key.")
        }
        let credentials = S3Credentials(accessKeyID: accessKeyID, secretKey: secretKey)
        let store = S3Store(S3Client(address, credentials, now: secondsSince1970))
        do { _ = try await store.list(.keyring) } catch { throw CofferError(error, place: store.place) }
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        try StoreSignIns(folder).save(credentials, for: address.account)
    }

    /// Forgets the key of a bucket.
    public func signOut(of location: String) throws(CofferError) {
        let address = try requireBucket(location)
        guard try StoreSignIns(folder).remove(address.account) else {
            throw CofferError(
                .storeSignIn, "This device has no key for \(address.account).",
                advice: "`coffer store list` shows what it has.")
        }
    }

    public func storeSignIns() throws(CofferError) -> [StoreSignIn] {
        try StoreSignIns(folder).entries().sorted { $0.key < $1.key }.map {
            StoreSignIn(store: $0.key, accessKeyID: $0.value.accessKeyID, keptIn: $0.value.storage.rawValue)
        }
    }

    private func requireBucket(_ location: String) throws(CofferError) -> S3Address {
        guard let address = try StoreLocation.bucket(location) else {
            throw CofferError(
                .unsupportedStore, "A folder needs no sign-in.",
                advice: "Name a bucket: s3:https://HOST/BUCKET.")
        }
        return address
    }
}
