package import VaultCore

/// Why a token did not do what it was asked to, in words that say what is safe and what to do.
package struct TokenError: Error, Equatable, Sendable {
    package enum Kind: Equatable, Sendable, CaseIterable {
        /// Neither the token nor what leads to it can be reached now.
        case absent
        /// The session is over: the token was unplugged, started anew, or logged out by another program.
        case stale
        /// What the vault had in it is not there. Modules say so, too, for a while after a token was unplugged.
        case missing
        /// The PIN is wrong. It is never tried a second time by itself: tokens lock after a few.
        case wrongPIN
        /// No PIN helps until somebody has set one with the token's own tool.
        case lockedPIN
        /// The token or its module cannot do what a vault needs.
        case unfit
        case writeProtected
        case full
        /// What was to be opened was altered, or sealed by another key.
        case refused
        /// What was asked may be done or not.
        case failed
    }

    package let kind: Kind
    package let text: String

    init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// What a module answered to a call.
    package init(_ call: String, answered code: UInt) {
        let known = PKCS11Answer.known[code]
        kind = known?.kind ?? .failed
        text = "\(call) answered \(known?.name ?? "0x" + String(code, radix: 16)). \(kind.meaning)"
    }

    /// The same, with the token's name before it.
    func of(_ token: TokenName) -> TokenError { TokenError(kind, "\(token): \(text)") }
}

extension TokenError.Kind {
    /// What it means and what to do next.
    package var meaning: String {
        switch self {
        case .absent:
            "It is not there. Nothing was changed and nothing is lost: plug it in, or start what leads to it, and try again."
        case .stale:
            "It ended the session, as when it is unplugged. Nothing is lost: the next try logs in anew."
        case .missing:
            "What the vault had in it is not there: it was destroyed, or the token was initialised anew."
        case .wrongPIN:
            "The PIN is wrong. It was tried once and is not tried again by itself, since tokens lock after a few wrong "
                + "ones. Put the right one into its place, and start again."
        case .lockedPIN:
            "It takes no PIN: it is locked, or its PIN is not set or has expired. The key in it is whole. Have its security "
                + "officer set a PIN, and start again; do not initialise the token, which would destroy the key."
        case .unfit:
            "It cannot do what a vault needs of it (AES-256 keys that are not extractable, AES-GCM, and for an anchor private "
                + "data objects). Take another token, or another anchor."
        case .writeProtected: "It takes no writing. Nothing was changed: lift its write protection, and try again."
        case .full:
            "It has no room left. Nothing that was in it is lost: remove what nothing depends on, and try again."
        case .refused: "What it was to open was altered, or sealed by another key. Nothing was changed."
        case .failed:
            "It failed, and what it was asked may be done or not; the vault builds on nothing before it has looked again. Look "
                + "after the token, and try again."
        }
    }
}

extension SecurityModuleError {
    package init(_ error: TokenError) {
        switch error.kind {
        case .absent, .stale, .full, .failed: self = .unreachable(error.text)
        case .wrongPIN, .lockedPIN: self = .unavailable(error.text)
        case .unfit, .writeProtected, .missing: self = .unfit(error.text)
        case .refused: self = .refused
        }
    }
}
