package import Primitives

/// The access token of the moment. It is renewed a minute before it ends, once for all who wait.
package actor GoogleTokens {
    private static let earlySeconds: UInt64 = 60

    private struct Access: Sendable {
        var token: SecretBytes
        var endsSeconds: UInt64
    }

    private var grant: GoogleGrant
    private let oauth: GoogleOAuth
    private let now: @Sendable () -> UInt64
    private let keep: @Sendable (GoogleGrant) -> Bool
    private let kept: @Sendable () -> GoogleGrant?
    private var isKept = true
    private var access: Access?
    private var renewal: Task<Result<Access, StoreFailure>, Never>?

    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - keep: a refresh token that takes the place of the one before; says whether it is kept, else it is tried again.
    ///   - kept: what is kept now, perhaps by another program since.
    package init(
        _ grant: GoogleGrant, _ oauth: GoogleOAuth, now: @escaping @Sendable () -> UInt64,
        keep: @escaping @Sendable (GoogleGrant) -> Bool, kept: @escaping @Sendable () -> GoogleGrant? = { nil }
    ) {
        self.grant = grant
        self.oauth = oauth
        self.now = now
        self.keep = keep
        self.kept = kept
    }

    package func current() async throws(StoreFailure) -> SecretBytes {
        if let access, now() &+ Self.earlySeconds < access.endsSeconds { return access.token }
        return try await renew()
    }

    /// After a 401: what others have renewed meanwhile is not renewed again.
    package func replace(_ refused: SecretBytes) async {
        if access?.token.isEqual(to: refused) == true { access = nil }
    }

    private func renew() async throws(StoreFailure) -> SecretBytes {
        // Whoever waits for it may be cancelled; the others still want it.
        let renewal = renewal ?? Task { await self.refresh() }
        self.renewal = renewal
        return try await renewal.value.get().token
    }

    private func answer() async throws(StoreFailure) -> GoogleTokenAnswer {
        do { return try await oauth.refresh(grant) } catch  where error.kind == .credentials {
            guard let kept = kept(), !kept.refreshToken.isEqual(to: grant.refreshToken) else { throw error }
            grant = kept
            return try await oauth.refresh(kept)
        }
    }

    private func refresh() async -> Result<Access, StoreFailure> {
        defer { renewal = nil }
        do throws(StoreFailure) {
            let answer = try await answer()
            if let token = answer.refreshToken, !token.isEqual(to: grant.refreshToken) {
                grant = grant.renewed(token)
                isKept = false
            }
            if !isKept { isKept = keep(grant) }
            let access = Access(token: answer.accessToken, endsSeconds: now() &+ answer.lifetimeSeconds)
            self.access = access
            return .success(access)
        } catch {
            return .failure(error)
        }
    }
}
