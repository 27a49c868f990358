/// Where Google's services answer; for tests, all of them in one place on this machine.
package struct GoogleEndpoints: Equatable, Sendable {
    package enum Malformed: Error, Equatable, Sendable {
        /// Whoever sets the place elsewhere would get what a person signs in with.
        case notThisMachine
    }

    /// Drive's, with `/drive/v3` and `/upload/drive/v3` below.
    package let api: String
    /// Where the person's browser goes.
    package let consent: String
    package let token: String
    package let deviceCode: String
    package let revocation: String

    package static let google = GoogleEndpoints(
        api: "https://www.googleapis.com", consent: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token", deviceCode: "https://oauth2.googleapis.com/device/code",
        revocation: "https://oauth2.googleapis.com/revoke")

    private init(api: String, consent: String, token: String, deviceCode: String, revocation: String) {
        self.api = api
        self.consent = consent
        self.token = token
        self.deviceCode = deviceCode
        self.revocation = revocation
    }

    /// - Parameter text: `http://127.0.0.1:PORT`.
    package init(onThisMachine text: String) throws(Malformed) {
        guard StoreURL.isPortOfThisMachine(text) else { throw .notThisMachine }
        self.init(
            api: text, consent: "\(text)/o/oauth2/v2/auth", token: "\(text)/token", deviceCode: "\(text)/device/code",
            revocation: "\(text)/revoke")
    }

    /// Whether an upload may go on at a URL that an answer named: the access token goes along.
    func isOwn(uploadURL url: String) -> Bool {
        if url.hasPrefix("\(api)/") { return true }
        guard self == .google, let parsed = try? StoreURL(url) else { return false }
        return parsed.transport == "https" && parsed.host.hasSuffix(".googleapis.com")
    }
}
