/// Where an rclone that runs is asked.
package struct RcloneEndpoint: Sendable, CustomStringConvertible {
    /// `http+unix://` and the path of its socket, percent-encoded.
    let url: String
    /// Lets nobody in who cannot read our memory or rclone's; it is made anew for each run of rclone.
    let authorization: String

    /// What each request carries. A socket has no host, and a server wants one.
    var headers: [(name: String, value: String)] { [("host", "localhost"), ("authorization", authorization)] }

    package init(url: String, authorization: String) {
        self.url = url
        self.authorization = authorization
    }

    package var description: String { url }
}

/// An rclone that answers, or is made to.
package protocol RcloneService: Sendable {
    /// Starts it if it does not run (any more).
    func endpoint() async throws(StoreFailure) -> RcloneEndpoint
    /// What it said last, if it said anything, behind a colon: for people.
    func lastWords() async -> String
    /// The one at this URL answers nothing any more: it is ended, and the next endpoint is another one's.
    func isSilent(_ url: String) async
}

extension RcloneService {
    package func lastWords() async -> String { "" }
    package func isSilent(_ url: String) async {}
}
