import Foundation
import ObjectStores
import Primitives

/// A person's own OAuth client, as Google's console shows it.
public struct GoogleOAuthClient: Sendable {
    let client: GoogleClient

    /// - Parameter secret: it is wiped.
    public init(id: String, wiping secret: inout [UInt8]) throws(CofferError) {
        guard let client = GoogleClient(id: id, secret: SecretBytes(wiping: &secret)) else { throw Self.malformed }
        self.client = client
    }

    /// Two lines, the ID and the secret; or the file that the console offers for download.
    ///
    /// - Parameter text: it is wiped.
    public init(wiping text: inout [UInt8]) throws(CofferError) {
        defer { text.wipe() }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        if let file = try? decoder.decode([String: File].self, from: Data(text)) {
            guard let found = file["installed"] ?? file["web"], file.count == 1 else { throw Self.malformed }
            var secret = Array(found.clientSecret.utf8)
            try self.init(id: found.clientId, wiping: &secret)
            return
        }
        let lines = text.split { $0 == 0x0a || $0 == 0x0d }
        guard lines.count == 2 else { throw Self.malformed }
        var secret = Array(lines[1])
        try self.init(id: String(decoding: lines[0], as: UTF8.self), wiping: &secret)
    }

    private struct File: Decodable {
        var clientId: String
        var clientSecret: String
    }

    private static var malformed: CofferError {
        CofferError(
            .storeSignIn, "This is no OAuth client. Nothing was kept.",
            advice:
                "It has an ID, which ends in .apps.googleusercontent.com, and a secret; the file that Google's console offers for "
                + "download has both. Docs/Stores.md says how to make one.")
    }
}

/// What a person has to do, to sign in at Google.
public enum GoogleSignInStep: Equatable, Sendable {
    /// Open this address in a browser on this machine.
    case open(String)
    /// Type this code at that address, on any device.
    case enter(code: String, address: String, minutes: Int)
}

extension Device {
    private static let browserSeconds = 600.0

    /// Signs in at Google Drive, and keeps it on this device once Drive has accepted it.
    ///
    /// - Parameters:
    ///   - client: nil for the one that this device signed in with before.
    ///   - atOtherDevice: without a browser on this machine.
    ///   - tell: what is to be done now.
    /// - Returns: whose Drive it is.
    public func signInAtGoogle(
        _ location: String, client: GoogleOAuthClient?, atOtherDevice: Bool,
        tell: @Sendable (GoogleSignInStep) -> Void
    ) async throws(CofferError) -> GoogleSignedIn {
        let address = try GoogleDriveAccess.address(location)
        let access = try GoogleDriveAccess(address, folder)
        let client = if let client { client.client } else { try access.knownClient() }
        let tokens =
            atOtherDevice
            ? try await access.tokensByDevice(client, tell)
            : try await access.tokensByBrowser(client, seconds: Self.browserSeconds, tell)
        let grant = try access.grant(client, tokens)
        let about = try await access.requireSameDrive(grant)
        let earlier = await access.earlierGrant()
        let lock = try folder.lock(creating: true)
        defer { lock.release() }
        let permission = access.permission(client)
        // First: a sign-in that is kept without it may be ended later with all that depends on it.
        try permission.rememberHidden()
        try StoreSignIns(folder).save(client.id, grant.kept(), for: address.account)
        return GoogleSignedIn(emailAddress: about.emailAddress, notes: earlier == nil ? [] : [permission.earlierStays])
    }
}

/// What came of a sign-in.
public struct GoogleSignedIn: Equatable, Sendable {
    /// Whose Drive it is, as Google says it.
    public let emailAddress: String?
    /// What should be known besides, a sentence or two each.
    public let notes: [String]
}

extension GoogleDriveAccess {
    /// The address of Google's page can be read by others on this machine while it is open: whoever opens it first, with an account of his
    /// own, would get the backups.
    fileprivate func requireSameDrive(_ grant: GoogleGrant) async throws(CofferError) -> DriveAbout {
        let store = store(grant)
        let about: DriveAbout
        let isSame: Bool
        do {
            about = try await store.about()
            isSame = try await store.seesKnownFolder()
        } catch {
            throw CofferError(error, place: address.text)
        }
        guard !isSame else { return about }
        throw CofferError(
            .storeSignIn,
            "You signed in as \(about.emailAddress ?? "somebody"), who does not see the folder in Google Drive that this device has used for "
                + "\(address.text). Nothing was kept, and nothing written.",
            advice:
                "Sign in with the account of the backup, and an OAuth client of its project. If that folder was deleted, or another "
                + "account is to be used from now on, run \(StoreAccount(address).logout) first.")
    }

    /// The sign-in before, if Google still accepts it.
    fileprivate func earlierGrant() async -> GoogleGrant? {
        guard let earlier = try? grant() else { return nil }
        do { _ = try await oauth.refresh(earlier) } catch  where error.kind == .credentials { return nil } catch {}
        return earlier
    }

    fileprivate func tokensByBrowser(
        _ client: GoogleClient, seconds: Double, _ tell: (GoogleSignInStep) -> Void
    ) async throws(CofferError) -> GoogleTokenAnswer {
        let listener = try LoopbackAnswer()
        var generator = SystemRandomNumberGenerator()
        let signIn = GoogleSignIn(
            client, scope: address.scope, port: listener.port, endpoints: endpoints, using: &generator)
        tell(.open(signIn.address))
        let answer: GoogleSignIn.Answer? = await listener.wait(seconds: seconds) { target in
            switch signIn.answer(in: target) {
            case .foreign: .foreign
            case let answer: .answer(answer)
            }
        }
        switch answer {
        case .code(let code)?:
            do { return try await oauth.exchange(code, of: signIn) } catch { throw CofferError(notSignedIn: error) }
        case .refused(let word)?: throw Self.refused(word)
        case .foreign?, nil:
            throw CofferError(
                .storeSignIn, "Your browser brought no answer within ten minutes. Nothing was kept.",
                advice: "Run the command again; where the browser is on another machine, with --device.")
        }
    }

    fileprivate func tokensByDevice(
        _ client: GoogleClient, _ tell: (GoogleSignInStep) -> Void
    ) async throws(CofferError) -> GoogleTokenAnswer {
        let code: GoogleDeviceCode
        do { code = try await oauth.deviceCode(client, scope: address.scope) } catch {
            throw CofferError(notSignedIn: error, isDevice: true)
        }
        tell(
            .enter(
                code: code.userCode, address: code.verificationURL, minutes: Int(code.lifetimeSeconds / 60)))
        do { return try await GoogleDeviceSignIn.wait(for: code, client, oauth) } catch {
            switch error {
            case .refused: throw Self.refused("access_denied")
            case .expired:
                throw CofferError(
                    .storeSignIn, "The code was not typed in time. Nothing was kept.",
                    advice: "Run the command again for a new one.")
            case .failure(let failure): throw CofferError(notSignedIn: failure)
            }
        }
    }

    fileprivate func grant(_ client: GoogleClient, _ tokens: GoogleTokenAnswer) throws(CofferError) -> GoogleGrant {
        guard tokens.scopes.isEmpty || tokens.scopes.contains(address.scope) else {
            throw CofferError(
                .storeSignIn, "You signed in, but did not allow access to Google Drive. Nothing was kept.",
                advice: "Run the command again, and tick the box of Google Drive on Google's page.")
        }
        guard let token = tokens.refreshToken else {
            throw CofferError(
                .storeSignIn, "Google gave a sign-in for an hour only. Nothing was kept.",
                advice:
                    "Remove this program's access at https://myaccount.google.com/permissions, and run the command again."
            )
        }
        return GoogleGrant(client: client, refreshToken: token)
    }

    private static func refused(_ word: String) -> CofferError {
        CofferError(
            .storeSignIn, "Google did not let Coffer in (\(word)). Nothing was kept.",
            advice: word == "access_denied"
                ? "Run the command again and allow it. If you did: your Google account must be among the client's test users."
                : "Check the OAuth client in Google's console, and run the command again.")
    }
}

extension CofferError {
    fileprivate init(notSignedIn failure: StoreFailure, isDevice: Bool = false) {
        let device =
            isDevice
            ? " A sign-in with --device needs a client of the type \"TVs and Limited Input devices\", and no ?space=appdata."
            : " A sign-in by a browser needs a client of the type \"Desktop app\"."
        self.init(
            .storeSignIn, "Google did not sign you in: \(failure.detail). Nothing was kept.",
            advice: "Check the OAuth client's ID and secret, and run the command again.\(device)")
    }
}
