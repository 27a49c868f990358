/// What went wrong, in words for a person: what happened and what it means for their data, and what to do next.
///
/// `code` is stable: programs decide by it, and the command's exit status follows from it. Nothing secret is in any field.
public struct CofferError: Error, Equatable, Sendable {
    /// Stable names of everything that can go wrong.
    public enum Code: String, CaseIterable, Sendable {
        case internalError = "internal-error"
        case wrongKey = "wrong-key"
        case malformedKey = "malformed-key"
        case keyReplaced = "key-replaced"
        case wrongPassword = "wrong-password"
        case keyDestroyed = "key-destroyed"
        case notRegistered = "not-registered"
        case tooEarly = "too-early"
        case noStore = "no-store"
        case storeTaken = "store-taken"
        case damagedHeader = "damaged-header"
        case newerFormat = "newer-format"
        case headerAltered = "header-altered"
        case damagedKeyring = "damaged-keyring"
        case storeFailed = "store-failed"
        case storeFull = "store-full"
        case storeSignIn = "store-sign-in"
        case unsupportedStore = "unsupported-store"
        case storeInsideSource = "store-inside-source"
        case noSource = "no-source"
        case sourceIncomplete = "source-incomplete"
        case noSnapshot = "no-snapshot"
        case missingSnapshots = "missing-snapshots"
        case damagedSnapshot = "damaged-snapshot"
        case noSuchPath = "no-such-path"
        case olderState = "older-state"
        case otherHistory = "other-history"
        case ambiguousImport = "ambiguous-import"
        case targetNotEmpty = "target-not-empty"
        case targetFailed = "target-failed"
        case restoreIncomplete = "restore-incomplete"
        case damageFound = "damage-found"
        case storeUnfit = "store-unfit"
        case tooFewVaults = "too-few-vaults"
        case vaultMisbehaves = "vault-misbehaves"
        case tokenRefused = "token-refused"
        case tokenExpired = "token-expired"
        case vaultRefused = "vault-refused"
        case badPattern = "bad-pattern"
        case badFleetFile = "bad-fleet-file"
        case badPassword = "bad-password"
        case notEnabled = "not-enabled"
        case alreadyEnabled = "already-enabled"
        case notConfirmed = "not-confirmed"
        case damagedState = "damaged-state"
        case changePending = "change-pending"
        case busy
        case cancelled
        case okPayloadHeaderOrTrailerAltered = "ok-payload-header-or-trailer-altered"
        case damagedOrWrongKey = "damaged-or-wrong-key"
        case truncated
        case notABackup = "not-a-backup"
        case olderFormat = "older-format"
        case contentRefused = "content-refused"
        case libraryMissing = "library-missing"
    }

    public let code: Code
    /// What happened, and what it means for the data.
    public let message: String
    /// What to do next.
    public let advice: String

    public init(_ code: Code, _ message: String, advice: String) {
        self.code = code
        self.message = message
        self.advice = advice
    }
}

extension CofferError.Code {
    /// The command's exit status (listed in `Docs/Manual.md`); 0 is success and 64 wrong usage.
    public var exitStatus: Int32 {
        switch self {
        case .internalError: 1
        case .sourceIncomplete: 2
        case .restoreIncomplete: 3
        case .damageFound: 4
        case .storeUnfit: 5
        case .wrongKey, .malformedKey, .keyReplaced: 10
        case .wrongPassword, .badPassword: 11
        case .keyDestroyed: 12
        case .notRegistered: 13
        case .tooEarly: 14
        case .noStore: 20
        case .damagedHeader: 21
        case .newerFormat: 22
        case .headerAltered: 23
        case .damagedKeyring: 24
        case .storeFailed: 25
        case .storeFull: 26
        case .storeSignIn: 37
        case .unsupportedStore: 27
        case .storeTaken: 28
        case .storeInsideSource: 29
        case .noSource: 30
        case .noSnapshot: 31
        case .missingSnapshots: 38
        case .damagedSnapshot: 32
        case .noSuchPath: 33
        case .olderState: 34
        case .otherHistory: 35
        case .ambiguousImport: 36
        case .targetNotEmpty: 40
        case .targetFailed: 41
        case .tooFewVaults: 50
        case .vaultMisbehaves: 51
        case .tokenRefused: 52
        case .tokenExpired: 53
        case .vaultRefused: 54
        case .badFleetFile: 55
        case .notEnabled: 60
        case .alreadyEnabled: 61
        case .notConfirmed: 62
        case .damagedState: 63
        case .changePending: 65
        case .badPattern: 66
        case .busy: 67
        case .cancelled: 68
        case .okPayloadHeaderOrTrailerAltered: 70
        case .damagedOrWrongKey: 71
        case .truncated: 72
        case .notABackup: 73
        case .olderFormat: 74
        case .contentRefused: 75
        case .libraryMissing: 76
        }
    }
}
