extension StoreFailure {
    /// What a WebDAV server says with an answer that is no success of this method. The one table (RFC 4918, section 11; RFC 9110).
    ///
    /// - Parameter name: of what was asked for, below the store's folder.
    init(webDAV answer: StoreAnswer, to method: String, _ name: String) {
        let status = "status \(answer.status)"
        switch answer.status {
        case 200..<300 where method == "PROPFIND":
            self.init(.noPlace, "what is there answers, but does not speak WebDAV (\(status)); check the address")
        case 207: self.init(.permanent, "\(method) was done in part (\(status))")
        case 300..<400: self.init(.noPlace, Self.redirection(answer, name))
        case 401: self.init(.credentials, status)
        case 403: self.init(.denied, status)
        case 404 where Self.makes(method), 410 where Self.makes(method):
            self.init(.noParent, "a folder above it is not there (\(status))")
        case 404, 410: self.init(.missing, status)
        case 405 where method == "MKCOL": self.init(.exists, status)
        case 405, 501:
            self.init(.noPlace, "what is there does not know \(method), as WebDAV does (\(status)); check the address")
        case 409: self.init(.noParent, "a folder above it is not there (\(status))")
        case 412: self.init(.exists, status)
        case 413: self.init(.permanent, "the server takes no files of this size (\(status)); its limit must be raised")
        case 416: self.init(.rangeInvalid, status)
        case 423: self.init(.transient, "somebody else has locked it (\(status))", retryAfter: answer.retryAfterSeconds)
        case 502 where method == "MOVE":
            self.init(
                .transient,
                "the server does not take the new name (\(status)); a proxy before it may have to rewrite Destination")
        case 408, 425, 429, 500, 502, 503, 504:
            self.init(.transient, status, retryAfter: answer.retryAfterSeconds)
        case 507: self.init(.full, status)
        default: self.init(.permanent, status)
        }
    }

    /// Whether what it is about need not be there, but the folder above must.
    private static func makes(_ method: String) -> Bool { method == "PUT" || method == "MKCOL" }

    /// Where the server says that it is; nobody goes there without the person's knowing, since a password would go along.
    private static func redirection(_ answer: StoreAnswer, _ name: String) -> String {
        let words = "the server sends us elsewhere (status \(answer.status))"
        guard var place = answer.header("location"), place.utf8.count <= 300,
            place.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
            place.hasPrefix("https://") || place.hasPrefix("http://"), !place.contains("@"), !place.contains("?")
        else { return "\(words), and not where to" }
        if place.hasSuffix("/") { place.removeLast() }
        // What was asked for below the store's own folder is no part of the address.
        let below = "/\(name.hasSuffix("/") ? String(name.dropLast()) : name)"
        if place.hasSuffix(below) { place.removeLast(below.utf8.count) }
        guard place.hasPrefix("https://") else {
            return "\(words): to \(place), which is not encrypted. Nothing was sent there"
        }
        return
            "\(words): to \(place). If that is right, name the store \(WebDAVAddress.scheme)\(place), and sign in there"
    }
}
