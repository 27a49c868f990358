import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives

/// Who this device is at which store. Secrets lie in the keychain, or each in a file of its own that only its owner may read; the
/// list of them holds none.
struct StoreSignIns {
    private static let fileName = "store-sign-ins.json"
    private let folder: DeviceFolder

    init(_ folder: DeviceFolder) { self.folder = folder }

    struct Entry: Codable, Equatable {
        /// Public: an access key's ID, a user's name.
        var name: String
        var storage: KeyStorage

        init(name: String, storage: KeyStorage) {
            self.name = name
            self.storage = storage
        }

        private enum CodingKeys: String, CodingKey {
            case name, storage
            /// As buckets alone had it.
            case accessKeyID
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            name =
                try values.decodeIfPresent(String.self, forKey: .name)
                ?? values.decode(String.self, forKey: .accessKeyID)
            storage = try values.decode(KeyStorage.self, forKey: .storage)
        }

        func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(name, forKey: .name)
            try values.encode(storage, forKey: .storage)
        }
    }

    /// As it was signed in.
    func kept(for account: StoreAccount) throws(CofferError) -> (name: String, secret: SecretBytes) {
        guard let kept = try keptIfAny(for: account) else { throw Self.missing(account) }
        return kept
    }

    /// As it was signed in, else from the environment, which other programs have it from and which names no store: what was kept for
    /// this one must not be another one's, nor go there instead.
    func keptOrGiven(
        for account: StoreAccount
    ) throws(CofferError) -> (name: String, secret: SecretBytes, isGiven: Bool) {
        if let kept = try keptIfAny(for: account) { return (kept.name, kept.secret, false) }
        guard let given = account.inEnvironment else { throw Self.missing(account) }
        return (given.name, given.secret, true)
    }

    private static func missing(_ account: StoreAccount) -> CofferError {
        let variables = account.environment.map { ", or set \($0.name) and \($0.secret)" } ?? ""
        return CofferError(
            .storeSignIn,
            "This device has no \(account.what) for \(account.names[0]). Nothing was read or written.",
            advice: "Run \(account.login)\(variables).")
    }

    private func keptIfAny(for account: StoreAccount) throws(CofferError) -> (name: String, secret: SecretBytes)? {
        let entries = try entries()
        guard let name = account.names.first(where: { entries[$0] != nil }), let entry = entries[name] else {
            return nil
        }
        let secret = try entry.storage.load(item: Self.item(name), fileName: Self.secretFile(name), from: folder)
        guard let secret else {
            throw CofferError(
                .storeSignIn, "The \(account.what) for \(name) is not where this device keeps it any more.",
                advice: "Run \(account.login) again. The backups are not affected.")
        }
        return (entry.name, secret)
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

    /// - Parameter account: what the secret belongs to.
    func save(_ name: String, _ secret: SecretBytes, for account: String) throws(CofferError) {
        var entries = try entries()
        let before = entries[account]?.storage
        let storage = try KeyStorage.save(
            secret, item: Self.item(account), fileName: Self.secretFile(account), in: folder)
        entries[account] = Entry(name: name, storage: storage)
        try write(entries)
        // Where the secret lay before, none is left.
        if let before, before != storage {
            before.delete(item: Self.item(account), fileName: Self.secretFile(account), from: folder)
        }
    }

    /// Keeps another secret in the place of the one before.
    func renew(_ secret: SecretBytes, for account: String) throws(CofferError) {
        var entries = try entries()
        guard let entry = entries[account] else { return }
        // The old one is not removed first: it may be the only one.
        let storage = try KeyStorage.save(
            secret, item: Self.item(account), fileName: Self.secretFile(account), in: folder)
        guard storage != entry.storage else { return }
        entries[account]?.storage = storage
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
    /// What this device knows of an account at a store.
    public struct StoreSignIn: Codable, Equatable, Sendable {
        /// What it belongs to: the URL of a bucket, or of a folder on a server.
        public let store: String
        /// An access key's ID, or a user's name.
        public let name: String
        /// `file` or `secret-service`.
        public let keptIn: String
    }

    /// What a person is asked for, to sign in at a store.
    public struct StoreSignInForm: Equatable, Sendable {
        /// `Access key ID`
        public let name: String
        /// `Secret access key`
        public let secret: String
        public enum Way: Equatable, Sendable {
            /// The two are all.
            case nameAndSecret
            /// They are an OAuth client, and a beginning: `Device.signInAtGoogle` does the rest.
            case google
            /// There is no name; the secret is a container's API token, and a beginning: `Device.signInAtICloud` does the rest.
            case apple
        }
        public let way: Way
        /// Whether this device has both from an earlier sign-in.
        public let isKnown: Bool
    }

    public func signInForm(for location: String) throws(CofferError) -> StoreSignInForm {
        let (place, account) = try requireAccount(location)
        return StoreSignInForm(
            name: account.nameWords, secret: account.secretWords, way: place.signInWay,
            isKnown: place.knowsClient(in: folder))
    }

    /// Keeps what opens a store on this device, once the store has accepted it.
    ///
    /// - Parameters:
    ///   - location: the store; every prefix of a bucket has the same key.
    ///   - name: an access key's ID, or a user's name.
    ///   - secret: what belongs to the name; it is wiped.
    public func signIn(to location: String, name: String, wiping secret: inout [UInt8]) async throws(CofferError) {
        let secret = SecretBytes(wiping: &secret)
        let (place, account) = try requireAccount(location)
        let store = try place.store(signingIn: name, secret)
        // There need be no backup yet; but something must answer as a store does.
        do { _ = try await store.list(.keyring) } catch { throw CofferError(error, place: store.place) }
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        try StoreSignIns(folder).save(name, secret, for: account.names[0])
    }

    /// Forgets what opens a store; Google is told to take back what was allowed.
    ///
    /// - Returns: what came of that, in sentences.
    public func signOut(of location: String) async throws(CofferError) -> [String] {
        let (place, account) = try requireAccount(location)
        let lock = try folder.lock()
        defer { lock.release() }
        let signIns = StoreSignIns(folder)
        guard try signIns.entries()[account.names[0]] != nil else {
            throw CofferError(
                .storeSignIn, "This device has no \(account.what) for \(account.names[0]).",
                advice: "`coffer store list` shows what it has.")
        }
        var notes: [String] = []
        if case .gdrive(let address) = place {
            // Whatever Google says, this device keeps nothing.
            notes = await (try? GoogleDriveAccess(address, folder))?.takeBack() ?? []
        }
        if case .icloud(let address) = place { notes = (try? ICloudAccess(address, folder))?.forget() ?? [] }
        _ = try signIns.remove(account.names[0])
        return notes
    }

    public func storeSignIns() throws(CofferError) -> [StoreSignIn] {
        try StoreSignIns(folder).entries().sorted { $0.key < $1.key }.map {
            StoreSignIn(store: $0.key, name: $0.value.name, keptIn: $0.value.storage.rawValue)
        }
    }

    private func requireAccount(
        _ location: String
    ) throws(CofferError) -> (place: StoreLocation, account: StoreAccount) {
        let place = try StoreLocation(location)
        if case .rclone(let address) = place {
            throw CofferError(
                .unsupportedStore, "rclone itself signs in at \(address.remoteName):, and keeps what that needs.",
                advice: "rclone config makes a sign-in, and \(address.signInAdvice.prefix(1).lowercased())"
                    + "\(address.signInAdvice.dropFirst())")
        }
        guard let account = place.account else {
            throw CofferError(
                .unsupportedStore, "A folder needs no sign-in.",
                advice:
                    "Name a bucket, s3:https://HOST/BUCKET, a folder on a server, webdav:https://HOST/PATH, or one of Google "
                    + "Drive, gdrive:FOLDER.")
        }
        return (place, account)
    }
}
