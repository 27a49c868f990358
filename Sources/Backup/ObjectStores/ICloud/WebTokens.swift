package import Primitives
import Synchronization

/// The token of the next request to CloudKit: each is good for one, whose answer brings the next. So no two requests are under way
/// at a time, whichever programs send them, and what an answer brought is kept before anything else is sent.
package protocol WebTokens: Sendable {
    /// The same for all who share a sign-in within this program.
    var name: String { get }
    /// Waits until no other program is between a request and its answer.
    func take() async throws(WebTokenFailure) -> any HeldWebToken
}

/// The token, held by the one who is about to send a request.
package protocol HeldWebToken: Sendable {
    /// Nil if nobody has signed in.
    var token: SecretBytes? { get }
    /// The next one; it outlives a loss of power when this returns.
    func keep(_ token: SecretBytes) throws(WebTokenFailure)
    func release()
}

/// Why a token cannot be read or kept, in words.
package struct WebTokenFailure: Error, Equatable, Sendable {
    package var words: String

    package init(_ words: String) { self.words = words }
}

/// In memory: for a sign-in that is not kept yet, and for tests.
package final class MemoryWebTokens: WebTokens, HeldWebToken {
    private let held: Mutex<SecretBytes?>

    package init(_ token: SecretBytes? = nil) { held = Mutex(token) }

    package var name: String { "memory \(ObjectIdentifier(self))" }
    package var token: SecretBytes? { held.withLock { $0 } }
    package func take() async throws(WebTokenFailure) -> any HeldWebToken { self }
    package func keep(_ token: SecretBytes) throws(WebTokenFailure) { held.withLock { $0 = token } }
    package func release() {}
}
