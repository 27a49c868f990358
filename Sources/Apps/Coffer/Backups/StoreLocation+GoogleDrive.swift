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
    /// All of Google in one place.
    private static let testEndpoint = TestEndpoint(variable: "COFFER_GOOGLE_URL")

    let address: DriveAddress
    let endpoints: GoogleEndpoints
    let oauth: GoogleOAuth
    let deviceFolder: DeviceFolder

    init(_ address: DriveAddress, _ folder: DeviceFolder) throws(CofferError) {
        self.address = address
        deviceFolder = folder
        endpoints = try Self.testEndpoint.read(GoogleEndpoints.init(onThisMachine:)) ?? .google
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
        let tokens = GoogleTokens(grant, oauth, now: secondsSince1970) { renewed in
            self.keep(renewed)
        } kept: {
            try? self.grant()
        }
        let client = DriveClient(
            tokens, Attempts(transport: HTTPStoreTransport(), backoff: Backoff()), endpoints: endpoints)
        return DriveStore(address, client, notes: journal, now: secondsSince1970)
    }

    func grant() throws(CofferError) -> GoogleGrant {
        let account = StoreAccount(address)
        let kept = try StoreSignIns(deviceFolder).kept(for: account)
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

    /// Keeps the sign-in that takes the place of the one before. Where it cannot be kept, the one before may still do.
    private func keep(_ renewed: GoogleGrant) -> Bool {
        let source = "sign-in \(address.account)"
        do throws(CofferError) {
            for account in address.accounts { try StoreSignIns(deviceFolder).renew(renewed.kept(), for: account) }
            Warnings.set(source, nil)
            return true
        } catch {
            Warnings.set(
                source,
                "Google gave a new sign-in for \(address.text), and it could not be kept: \(error.message) Nothing of the backup is "
                    + "affected. If the next command is refused, see to that, and run \(StoreAccount(address).login).")
            return false
        }
    }

    func knownClient() throws(CofferError) -> GoogleClient { try grant().client }

    /// What this device knows better than Drive's lists. It is a cache.
    var journal: DeviceDriveNotes { DeviceDriveNotes(folder: deviceFolder, account: address.account) }
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
