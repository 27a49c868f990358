package import Primitives
import Synchronization

/// The line to CloudKit's web services: one request at a time, each with the token that the answer before it brought.
///
/// A request that is under way is waited for also by who is told to stop: an answer that nobody takes would end the sign-in.
package final class CloudKitLine: StoreTransport {
    private static let nextToken = ["x-apple-cloudkit-web-auth-token", "x-apple-cloudkit-session"]
    private static let tokenBytesMax = 4_096
    /// For each sign-in, within this program.
    private static let turns = NameLocks()

    /// It could not be kept, and is the only one that is any good, but if somebody has signed in since.
    private struct Unkept {
        var token: SecretBytes
        /// That was spent for it.
        var spent: SecretBytes?
    }

    /// By sign-in: other lines of this program go on with it too.
    private static let unkept = Mutex<[String: Unkept]>([:])

    private struct State {
        /// An answer was lost, and perhaps the next token with it.
        var isAnswerLost = false
    }

    private let transport: any StoreTransport
    private let apiToken: SecretBytes
    private let tokens: any WebTokens
    private let state = Mutex(State())

    package init(_ transport: any StoreTransport, apiToken: SecretBytes, tokens: any WebTokens) {
        self.transport = transport
        self.apiToken = apiToken
        self.tokens = tokens
    }

    /// Whether the last that is known of the sign-in is that an answer to it was lost.
    var isAnswerLost: Bool { state.withLock { $0.isAnswerLost } }

    package func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        let answer = await Self.turns.holding(tokens.name) { await self.exchangeInTurn(request) }
        return try answer.get()
    }

    private func exchangeInTurn(_ request: StoreRequest) async -> Result<StoreAnswer, StoreTransportError> {
        do throws(WebTokenFailure) {
            let held = try await tokens.take()
            defer { held.release() }
            // Who was stopped in the line has sent nothing.
            guard !Task.isCancelled else { return .failure(.broken("it was stopped")) }
            let token = try token(held)
            // A task of its own, which no cancellation reaches.
            return await Task { await self.exchange(request, token, held) }.value
        } catch {
            return .failure(.notSent(error.words))
        }
    }

    private func token(_ held: any HeldWebToken) throws(WebTokenFailure) -> SecretBytes? {
        guard let unkept = Self.unkept.withLock({ $0[tokens.name] }) else { return held.token }
        let isLast =
            switch (held.token, unkept.spent) {
            case (nil, nil): true
            case (let kept?, let spent?): kept.isEqual(to: spent)
            default: false
            }
        if isLast { try held.keep(unkept.token) }
        Self.unkept.withLock { $0[tokens.name] = nil }
        return isLast ? unkept.token : held.token
    }

    private func exchange(
        _ request: StoreRequest, _ token: SecretBytes?, _ held: any HeldWebToken
    ) async -> Result<StoreAnswer, StoreTransportError> {
        var signed = request
        signed.url += "?ckAPIToken=\(PercentEncoding.encoded(apiToken.text))"
        if let token { signed.url += "&ckWebAuthToken=\(PercentEncoding.encoded(token.text))" }
        let isHeard = Heard()
        // As soon as it is there: what follows may be lost.
        signed.heard = { head in if isHeard.isFirst() { self.hear(head, held, spent: token) } }
        do throws(StoreTransportError) {
            let answer = try await transport.send(signed)
            signed.heard?(answer)
            return .success(answer)
        } catch {
            if case .broken = error, isHeard.isFirst() { state.withLock { $0.isAnswerLost = true } }
            return .failure(error)
        }
    }

    private func hear(_ head: StoreAnswer, _ held: any HeldWebToken, spent: SecretBytes?) {
        guard let text = Self.nextToken.lazy.compactMap({ head.header($0) }).first, Self.isToken(text) else {
            // CloudKit's own answers bring one, but where there is no sign-in: this came from something in between.
            if head.status != 421 { state.withLock { $0.isAnswerLost = true } }
            return
        }
        let next = SecretBytes(copying: Array(text.utf8))
        state.withLock { $0.isAnswerLost = false }
        do { try held.keep(next) } catch {
            Self.unkept.withLock { $0[tokens.name] = Unkept(token: next, spent: spent) }
        }
    }

    /// It goes into an address and a file: one line.
    static func isToken(_ text: String) -> Bool {
        (1...tokenBytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }

    private final class Heard: Sendable {
        private let value = Mutex(false)

        func isFirst() -> Bool {
            value.withLock { isHeard in
                defer { isHeard = true }
                return !isHeard
            }
        }
    }
}
