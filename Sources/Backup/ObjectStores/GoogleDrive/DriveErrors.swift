import Foundation

/// What an answer of Drive means that is no success: the one table, by `error.errors[0].reason`, then by the status.
package enum DriveErrors {
    /// `userRateLimitExceeded` is said of a busy moment, and of the bytes that an account may send a day.
    private static let userRateLimit = "userRateLimitExceeded"

    package static func failure(_ answer: StoreAnswer) -> StoreFailure {
        let reason = reason(answer)
        let detail = "status \(answer.status)" + (reason.map { ", \($0)" } ?? "")
        let (kind, words) = kind(status: answer.status, reason: reason)
        return StoreFailure(
            kind, words.map { "\($0) (\(detail))" } ?? detail, retryAfter: answer.retryAfterSeconds)
    }

    static func isUserRateLimit(_ failure: StoreFailure) -> Bool { failure.detail.hasSuffix(userRateLimit) }

    /// Google holds a file for harmful, and gives it to whoever insists: sealed bytes harm nobody, and may look like anything.
    static func isAbuseWarning(_ answer: StoreAnswer) -> Bool { reason(answer) == "cannotDownloadAbusiveFile" }

    private static func kind(status: Int, reason: String?) -> (StoreFailure.Kind, words: String?) {
        // An id that is taken is told by the status; its reason has changed over time.
        if status == 409 { return (.exists, nil) }
        if let known = reason.flatMap(kind(reason:)) { return known }
        switch status {
        case 401: return (.credentials, nil)
        case 403: return (.denied, nil)
        // Without Drive's own word it may be anything between us and Drive that does not find anything.
        case 404, 410: return (.transient, nil)
        case 416: return (.rangeInvalid, nil)
        case 408, 429, 500...599: return (.transient, nil)
        default: return (.permanent, nil)
        }
    }

    private static func kind(reason: String) -> (StoreFailure.Kind, words: String?)? {
        switch reason {
        case "rateLimitExceeded", userRateLimit, "sharingRateLimitExceeded", "backendError", "internalError",
            "transientError":
            (.transient, nil)
        case "dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded":
            (.dailyLimit, "your Google Cloud project, or the account, has used up what Google allows for a day")
        case "storageQuotaExceeded", "teamDriveFileLimitExceeded": (.full, nil)
        case "numChildrenInNonRootLimitExceeded":
            (.noPlace, "the folder holds as many files as Drive allows: back up to another folder")
        case "activeItemCreationLimitExceeded":
            (.noPlace, "the account has as many files as Drive allows: delete some")
        case "authError", "required", "expired": (.credentials, nil)
        case "notFound": (.missing, nil)
        case "insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
            (.credentials, "the sign-in does not allow access to Drive: sign in again, and tick its box")
        case "appNotAuthorizedToFile", "insufficientFilePermissions":
            (.denied, "it was made with another OAuth client, or belongs to somebody else")
        case "domainPolicy":
            (.noPlace, "the administrator of this Google account does not allow programs to use its Drive")
        case "accessNotConfigured", "SERVICE_DISABLED":
            (.noPlace, "the Google Drive API is not switched on in your Google Cloud project: switch it on there")
        default: nil
        }
    }

    private struct Body: Decodable {
        struct Content: Decodable {
            struct Item: Decodable {
                var reason: String?
            }
            var errors: [Item]?
            var details: [Item]?
        }
        var error: Content
    }

    /// A word; anything else may repeat what was sent.
    private static func reason(_ answer: StoreAnswer) -> String? {
        guard let body = try? JSONDecoder().decode(Body.self, from: Data(answer.body)) else { return nil }
        let reason = body.error.errors?.first?.reason ?? body.error.details?.compactMap(\.reason).first
        return reason.flatMap { isWord($0) ? $0 : nil }
    }

    static func isWord(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(PercentEncoding.isUnreserved)
    }
}
