import BackupEngine
import ByteCoding
import Foundation
import ObjectStores
import Primitives

extension StoreAccount {
    init(_ address: DriveAddress) {
        self.init(
            names: address.accounts, store: address.text, what: "sign-in",
            nameWords: "OAuth client ID", secretWords: "OAuth client secret", environment: nil,
            deniedAdvice: "Check that you signed in with the OAuth client that made the backup (coffer store list).")
    }
}

/// How this device gets at one folder in Google Drive.
struct GoogleDriveAccess {
    /// For tests: all of Google in one place on this machine.
    private static let endpointsVariable = "COFFER_GOOGLE_URL"

    let address: DriveAddress
    let endpoints: GoogleEndpoints
    let oauth: GoogleOAuth
    private let folder: DeviceFolder

    init(_ address: DriveAddress, _ folder: DeviceFolder) throws(CofferError) {
        self.address = address
        self.folder = folder
        endpoints = try Self.endpointsInForce()
        oauth = GoogleOAuth(endpoints, Attempts(transport: HTTPStoreTransport(), backoff: Backoff()))
    }

    static func address(_ location: String) throws(CofferError) -> DriveAddress {
        guard case .gdrive(let address) = try StoreLocation(location) else {
            throw CofferError(
                .unsupportedStore, "\(location) is not in Google Drive.", advice: "Name a folder there: gdrive:FOLDER.")
        }
        return address
    }

    /// With what `coffer store login` has kept.
    func store() throws(CofferError) -> DriveStore { store(try grant()) }

    func store(_ grant: GoogleGrant) -> DriveStore {
        let tokens = GoogleTokens(grant, oauth, now: secondsSince1970) { [folder, address] renewed in
            // Where it cannot be kept, the one before may still do.
            for account in address.accounts { try? StoreSignIns(folder).renew(renewed.kept(), for: account) }
        } kept: {
            try? self.grant()
        }
        let client = DriveClient(
            tokens, Attempts(transport: HTTPStoreTransport(), backoff: Backoff()), endpoints: endpoints)
        return DriveStore(address, client, notes: journal, now: secondsSince1970)
    }

    func grant() throws(CofferError) -> GoogleGrant {
        let account = StoreAccount(address)
        let kept = try StoreSignIns(folder).kept(for: account)
        guard let grant = GoogleGrant(clientID: kept.name, kept: kept.secret) else {
            throw CofferError(
                .storeSignIn,
                "The sign-in for \(address.text) that this device keeps is damaged. Nothing was read or written.",
                advice: "Run \(account.login) again. The backups are not affected.")
        }
        return grant
    }

    /// What a person must keep besides the key, a sentence each.
    static func notes(for location: String, in folder: DeviceFolder) -> [String] {
        guard let address = try? address(location),
            let client = try? StoreSignIns(folder).kept(for: StoreAccount(address)).name
        else { return [] }
        return [
            "To restore on a new device you sign in with your OAuth client again: no other shows this backup. Keep its ID and its secret "
                + "with your key, and its project in Google's console. The ID: \(client)"
        ]
    }

    /// Ends what was allowed to this device, and tells what came of it. The hidden folder goes when its program is disconnected:
    /// there nothing is taken back, since the backup might go too.
    func takeBack() async -> [String] {
        defer { journal.delete() }
        guard address.space == .drive else {
            return [
                "Google was not told: taking the permission back might erase the backup, which is in the folder that Drive keeps "
                    + "for this OAuth client."
            ]
        }
        guard let grant = try? grant() else { return [] }
        do {
            try await oauth.revoke(grant.refreshToken)
            return [
                "Google has taken the permission back. Other devices that signed in with the same OAuth client may have to sign in "
                    + "again. The backup is still in your Drive."
            ]
        } catch {
            return [
                "Google could not be told (\(error.detail)): remove the access at https://myaccount.google.com/permissions if somebody "
                    + "may have copied this device's files."
            ]
        }
    }

    func knownClient() throws(CofferError) -> GoogleClient { try grant().client }

    /// What this device knows better than Drive's lists. It is a cache.
    var journal: DeviceDriveNotes { DeviceDriveNotes(folder: folder, account: address.account) }

    private static func endpointsInForce() throws(CofferError) -> GoogleEndpoints {
        guard let text = StoreAccount.environment(endpointsVariable) else { return .google }
        do { return try GoogleEndpoints(onThisMachine: text) } catch {
            throw CofferError(
                .unsupportedStore,
                "\(endpointsVariable) names another place than this machine: it would get what you sign in with. Nothing was sent.",
                advice: "It is for tests alone, and of the form http://127.0.0.1:PORT. Remove it from the environment.")
        }
    }
}

extension CofferError {
    init(_ error: DriveAddress.Malformed) {
        self.init(
            .unsupportedStore, error.words,
            advice: "The form is gdrive:FOLDER, or 'gdrive:FOLDER?space=appdata' (Docs/Stores.md).")
    }
}

extension DriveAddress.Malformed {
    /// Without the text itself, in which a secret may stand.
    fileprivate var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a folder in Google Drive."
        case .noFolder: "The address names no folder."
        case .badFolder:
            "The folder's name has at most 100 letters without accents, digits, spaces and -._~; it is one folder, without slashes."
        case .unknownOption(let name): "The address has an option \(name), which is unknown or has no such value."
        }
    }
}
