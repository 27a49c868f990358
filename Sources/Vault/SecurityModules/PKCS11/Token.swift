import Primitives
import Synchronization

/// A token that the vault is logged in at, or logs in at again: it may be unplugged and come back.
package final class Token: Sendable {
    private struct State {
        var session: TokenSession?
        var wasOpen = false
        /// The PIN was not taken, once and for all of this process.
        var refusal: TokenError?
        var failure: (at: ContinuousClock.Instant, error: TokenError)?
    }

    package let name: TokenName
    private let library: PKCS11Library
    private let pin: TokenPIN
    private let refusals: PINRefusals?
    private let retryAfter: Duration
    private let state = Mutex(State())

    /// Nothing is asked of the token yet.
    ///
    /// - Parameters:
    ///   - refusals: where a PIN that was not taken is noted, so that no later process tries it either.
    ///   - retryAfter: how long a token that failed is left alone, however many ask for it.
    package init(
        _ name: TokenName, library: PKCS11Library, pin: TokenPIN, refusals: PINRefusals? = nil,
        retryAfter: Duration = .seconds(1)
    ) {
        self.name = name
        self.library = library
        self.pin = pin
        self.refusals = refusals
        self.retryAfter = retryAfter
        library.tokenOpens()
    }

    deinit { library.tokenCloses() }

    /// Runs calls in a session that is logged in, one caller at a time. Should the session turn out to be over, they are
    /// run once more in a new one: so each must be harmless to repeat.
    func perform<Result: Sendable>(
        _ body: (TokenSession) throws(TokenError) -> Result
    ) throws(TokenError) -> Result {
        try state.withLock { state throws(TokenError) in
            if let session = state.session {
                do throws(TokenError) { return try body(session) } catch {
                    if Self.endsSession(error) { state.session = nil }
                    guard error.kind == .stale || error.kind == .missing else { throw error.of(name) }
                }
            }
            let isAgain = state.wasOpen
            let session = try open(&state)
            do throws(TokenError) {
                let result = try body(session)
                state.session = session
                return result
            } catch {
                let named = error.of(name)
                if !Self.endsSession(error) {
                    state.session = session
                } else if isAgain {
                    // Else every request would have the token started anew.
                    state.failure = (.now, named)
                }
                throw named
            }
        }
    }

    /// After these a new session finds out what is the matter.
    private static func endsSession(_ error: TokenError) -> Bool {
        switch error.kind {
        case .absent, .stale, .missing, .failed, .lockedPIN, .wrongPIN: true
        case .unfit, .writeProtected, .full, .refused: false
        }
    }

    private func open(_ state: inout State) throws(TokenError) -> TokenSession {
        if let refusal = state.refusal { throw refusal }
        if let failure = state.failure, failure.at.duration(to: .now) < retryAfter { throw failure.error }
        do throws(TokenError) {
            let session = try state.wasOpen ? reconnect() : connect()
            state.wasOpen = true
            state.failure = nil
            return session
        } catch {
            if error.kind == .wrongPIN || error.kind == .lockedPIN { state.refusal = error }
            state.failure = (.now, error)
            throw error
        }
    }

    /// After a session that came to an end. Some modules find a token that was away only when they are started anew, and
    /// until then show it empty.
    private func reconnect() throws(TokenError) -> TokenSession {
        do throws(TokenError) { try library.restart() } catch { throw error.of(name) }
        return try connect()
    }

    private func connect() throws(TokenError) -> TokenSession {
        let tokens: [TokenDescription]
        do throws(TokenError) { tokens = try library.tokens() } catch { throw error.of(name) }
        let token = try name.find(among: tokens)
        guard token.isPINSet, !token.isPINLocked else {
            throw TokenError(.lockedPIN, TokenError.Kind.lockedPIN.meaning).of(name)
        }
        guard !token.isFinalTry else {
            throw TokenError(
                .lockedPIN,
                "It has one try left before it locks, and the vault does not use that up. Log in once by hand, with the "
                    + "token's own tool; then put that PIN into \(pin.place)."
            ).of(name)
        }
        do throws(TokenError) {
            let session = try TokenSession(library, slot: token.slot, pin: pin.secret)
            refusals?.forget()
            return session
        } catch {
            if error.kind == .wrongPIN { refusals?.remember(pin) }
            throw error.of(name)
        }
    }
}
