package import BackupEngine

/// What an answer that is no success means, from its status and S3's own code.
package struct S3Failure: Error, Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case missing
        case noBucket
        case exists
        case rangeInvalid
        case full
        /// The key is not known there, or its secret is another one, or it has expired.
        case credentials
        case denied
        /// The bucket lies in another region.
        case wrongRegion
        /// It may go well if it is tried again.
        case transient
        case notImplemented
        case permanent
    }

    package var kind: Kind
    /// The status and the code, or what happened on the line; nothing else of the answer, which may repeat what was signed.
    package var detail: String
    /// The region that the answer names.
    package var region: String?
    /// What the answer says in `Retry-After`, in seconds.
    package var retryAfter: Double?

    package init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    package init(_ answer: StoreAnswer) {
        let leaves = (try? XMLLeaves.read(answer.body)) ?? []
        func text(_ name: String) -> String? { leaves.first { $0.path == "Error/\(name)" }?.text }
        let code = text("Code").flatMap { Self.isWord($0) ? $0 : nil }
        self.init(
            Self.kind(status: answer.status, code: code),
            "status \(answer.status)" + (code.map { ", \($0)" } ?? ""))
        let region = answer.header("x-amz-bucket-region") ?? text("Region")
        self.region = region.flatMap { !$0.isEmpty && $0.utf8.allSatisfy(SignatureV4.isUnreserved) ? $0 : nil }
        retryAfter = answer.header("retry-after").flatMap(Double.init).flatMap { $0 >= 0 ? $0 : nil }
    }

    package init(_ error: StoreTransportError) {
        switch error {
        case .broken(let words): self.init(.transient, words)
        case .untrusted: self.init(.permanent, "its certificate is not trusted here")
        case .tooLong: self.init(.permanent, "its answer is longer than any should be")
        }
    }

    /// The one table. S3's codes come first: servers differ in their statuses.
    private static func kind(status: Int, code: String?) -> Kind {
        switch code {
        case "NoSuchKey": return .missing
        case "NoSuchBucket": return .noBucket
        case "PreconditionFailed": return .exists
        case "InvalidRange": return .rangeInvalid
        case "QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
            "InsufficientCapacity", "ServiceQuotaExceededException", "StorageCapExceeded":
            return .full
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
            "NotSignedUp", "RequestTimeTooSkewed":
            return .credentials
        case "AccessDenied", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed": return .denied
        case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect",
            "IllegalLocationConstraintException":
            return .wrongRegion
        case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted",
            "ConditionalRequestConflict", "Throttling", "ThrottlingException", "RequestLimitExceeded",
            "TooManyRequests", "Busy", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody":
            return .transient
        case "NotImplemented": return .notImplemented
        default: break
        }
        switch status {
        case 301, 307: return .wrongRegion
        case 401, 403: return .denied
        case 404: return .missing
        case 408, 429, 500, 502, 503, 504: return .transient
        case 412: return .exists
        case 416: return .rangeInvalid
        case 501: return .notImplemented
        case 507: return .full
        default: return .permanent
        }
    }

    private static func isWord(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(SignatureV4.isUnreserved)
    }

    /// - Parameter path: of the object that it was about, or empty.
    package func storeError(_ path: String, bucket: String) -> ObjectStoreError {
        switch kind {
        case .missing: .notFound(path)
        case .exists: .exists(path)
        case .rangeInvalid: .truncated(path)
        case .full: .full
        case .credentials: .credentials(detail)
        case .denied: .denied("\(path.isEmpty ? "the bucket \(bucket)" : path) (\(detail))")
        case .noBucket: .failed("there is no bucket named \(bucket)")
        case .wrongRegion: .failed("the bucket \(bucket) lies in another region (\(region ?? "it is not said which"))")
        case .transient, .notImplemented, .permanent:
            .failed(path.isEmpty ? detail : "\(path): \(detail)")
        }
    }
}
