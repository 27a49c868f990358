import ObjectStores
import Primitives

extension StoreAccount {
    init(_ address: WebDAVAddress) {
        self.init(
            names: address.accounts, store: address.text, what: "password",
            nameWords: "User", secretWords: "Password",
            environment: ("COFFER_WEBDAV_USER", "COFFER_WEBDAV_PASSWORD"),
            deniedAdvice: "Check the path, and what this user may do there.",
            credentialsAdvice: " Where a second factor is asked for (Nextcloud, ownCloud), make an app password.")
    }
}

extension StoreSignIns {
    private static let placeVariable = "COFFER_WEBDAV_URL"

    func webDAVCredentials(for address: WebDAVAddress) throws(CofferError) -> WebDAVCredentials {
        let account = StoreAccount(address)
        let signIn = try keptOrGiven(for: account)
        if signIn.isGiven, try !Self.isMeant(address) {
            throw CofferError(
                .storeSignIn,
                "This device has no password for \(address.text); the one in the environment is another folder's, which "
                    + "\(Self.placeVariable) names. Nothing was read or written.",
                advice: "Run \(account.login), or name this folder in \(Self.placeVariable).")
        }
        return try WebDAVCredentials(signingIn: signIn.name, signIn.secret)
    }

    /// Whether the environment's password is one for this place.
    private static func isMeant(_ address: WebDAVAddress) throws(CofferError) -> Bool {
        guard let text = StoreAccount.environment(placeVariable) else { return true }
        let scheme = WebDAVAddress.scheme
        guard let place = try? WebDAVAddress(text.hasPrefix(scheme) ? text : scheme + text) else {
            throw CofferError(
                .unsupportedStore,
                "\(placeVariable) is not the URL of a folder on a server. Nothing was sent anywhere.",
                advice:
                    "It names the folder that COFFER_WEBDAV_PASSWORD is for, https://HOST/PATH. Correct or remove it.")
        }
        return address.accounts.contains(place.text)
    }
}

extension WebDAVCredentials {
    init(signingIn name: String, _ secret: SecretBytes) throws(CofferError) {
        // A colon ends the name where it is sent (RFC 7617).
        let isName =
            (1...256).contains(name.utf8.count) && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f && $0 != 0x3a }
        let isSecret = secret.withBytes { !$0.isEmpty && $0.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }
        guard isName, isSecret else {
            throw CofferError(
                .storeSignIn, "This is not the user and the password of a server. Nothing was kept.",
                advice: "Neither is empty or has control characters, and the user has no colon.")
        }
        self.init(user: name, password: secret)
    }
}

extension CofferError {
    init(_ error: WebDAVAddress.Malformed) {
        let words =
            switch error {
            case .url(let error): error.words
            case .badPath:
                "The path has an empty part, one that is . or .. alone, a control character, or a % that encodes nothing."
            case .hasOptions: "The address has a ?, and there are no options."
            }
        self.init(
            .unsupportedStore, words,
            advice: "The form is webdav:https://HOST/PATH, as your server shows it (Docs/Stores.md).")
    }
}
