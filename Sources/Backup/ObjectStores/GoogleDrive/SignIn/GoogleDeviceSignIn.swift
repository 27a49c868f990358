/// A sign-in that is finished at another device, from this one (RFC 8628, section 3.5).
package enum GoogleDeviceSignIn {
    package enum Failed: Error, Equatable, Sendable {
        /// The code's time is over.
        case expired
        /// The person said no.
        case refused
        case failure(StoreFailure)
    }

    /// Asks until the person has decided.
    package static func wait(
        for code: GoogleDeviceCode, _ client: GoogleClient, _ oauth: GoogleOAuth, clock: WaitingClock = .continuous
    ) async throws(Failed) -> GoogleTokenAnswer {
        let end = clock.now() &+ nanoseconds(code.lifetimeSeconds)
        var interval = code.intervalSeconds
        while clock.now() < end, !Task.isCancelled {
            await clock.sleepUntil(clock.now() &+ nanoseconds(interval))
            let answer: GoogleOAuth.DeviceAnswer
            do { answer = try await oauth.ask(for: code, client) } catch { throw .failure(error) }
            switch answer {
            case .pending: break
            case .slower: interval += 5
            case .expired: throw .expired
            case .refused: throw .refused
            case .tokens(let tokens): return tokens
            }
        }
        throw .expired
    }

    private static func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * 1e9) }
}
