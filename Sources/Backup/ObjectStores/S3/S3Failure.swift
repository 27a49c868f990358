/// What S3 says with an answer that is no success.
struct S3Failure {
    let failure: StoreFailure
    /// Where the bucket lies, if the answer says so and the request went elsewhere.
    let otherRegion: String?

    /// More is no error that S3 sends.
    private static let errorBytesMax = 64 << 10

    /// - Parameter method: of the request; the answer to HEAD has no body that would say more.
    init(_ answer: StoreAnswer, to method: String, bucket: String) {
        let leaves = answer.body.count <= Self.errorBytesMax ? (try? XMLLeaves.read(answer.body)) ?? [] : []
        func text(_ name: String) -> String? { leaves.first { $0.path == "Error/\(name)" }?.text }
        let code = text("Code").flatMap { Self.isWord($0) ? $0 : nil }
        let region = (answer.header("x-amz-bucket-region") ?? text("Region")).flatMap {
            !$0.isEmpty && $0.utf8.allSatisfy(PercentEncoding.isUnreserved) ? $0 : nil
        }
        let detail = "status \(answer.status)" + (code.map { ", \($0)" } ?? "")
        var meaning = Self.meaning(status: answer.status, code: code)
        // Whoever stands before the store says that, too, for as long as the store is away.
        if code == nil, answer.status == 404, method != "HEAD" { meaning = .kind(.transient) }
        switch meaning {
        case .kind(let kind): failure = StoreFailure(kind, detail, retryAfter: answer.retryAfterSeconds)
        case .noBucket: failure = StoreFailure(.noPlace, "there is no bucket named \(bucket)")
        case .wrongRegion:
            let place = region ?? "it is not said which"
            failure = StoreFailure(.noPlace, "the bucket \(bucket) lies in another region (\(place))")
        case .wrongClock:
            failure = StoreFailure(
                .noPlace,
                "this device's clock is wrong, by more than the server allows (\(detail)). Set it, and try again")
        }
        let isRedirected = answer.status == 400 && answer.header("x-amz-bucket-region") != nil
        otherRegion = meaning == .wrongRegion || isRedirected ? region : nil
    }

    /// What a success that is none says: some servers find out that something went wrong when they have begun to answer.
    static func inSuccess(_ answer: StoreAnswer, to method: String, bucket: String) -> StoreFailure? {
        guard method == "PUT" || method == "DELETE", !answer.body.isEmpty, answer.body.count <= errorBytesMax,
            let leaves = try? XMLLeaves.read(answer.body), leaves.contains(where: { $0.path.hasPrefix("Error/") })
        else { return nil }
        var failure = S3Failure(answer, to: method, bucket: bucket).failure
        if failure.kind == .permanent { failure.kind = .transient }
        return failure
    }

    private enum Meaning: Equatable {
        case kind(StoreFailure.Kind)
        case noBucket
        case wrongRegion
        case wrongClock
    }

    /// The one table. S3's codes come first: servers differ in their statuses.
    private static func meaning(status: Int, code: String?) -> Meaning {
        switch code {
        case "NoSuchKey": return .kind(.missing)
        case "NoSuchBucket": return .noBucket
        case "PreconditionFailed": return .kind(.exists)
        case "InvalidRange": return .kind(.rangeInvalid)
        case "QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
            "InsufficientCapacity", "ServiceQuotaExceededException", "StorageCapExceeded":
            return .kind(.full)
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
            "NotSignedUp":
            return .kind(.credentials)
        case "RequestTimeTooSkewed": return .wrongClock
        case "AccessDenied", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed": return .kind(.denied)
        case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect",
            "IllegalLocationConstraintException":
            return .wrongRegion
        case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted",
            "ConditionalRequestConflict", "Throttling", "ThrottlingException", "RequestLimitExceeded",
            "TooManyRequests", "Busy", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody":
            return .kind(.transient)
        case "NotImplemented": return .kind(.notImplemented)
        default: break
        }
        switch status {
        case 301, 307: return .wrongRegion
        case 401, 403: return .kind(.denied)
        case 404: return .kind(.missing)
        case 408, 429, 500, 502, 503, 504: return .kind(.transient)
        case 412: return .kind(.exists)
        case 416: return .kind(.rangeInvalid)
        case 501: return .kind(.notImplemented)
        case 507: return .kind(.full)
        default: return .kind(.permanent)
        }
    }

    private static func isWord(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(PercentEncoding.isUnreserved)
    }
}
