import Foundation

/// What an answer of CloudKit means that is no success: the one table, by `serverErrorCode`, which may stand for all of it or beside
/// one record. That something is not there is believed of the record that was asked about alone: of all else (an operation, a container)
/// it says nothing of objects. An answer without a code comes from something in between, and says nothing of objects or of the sign-in.
package enum CloudKitErrors {
    private static let atomic = "ATOMIC_ERROR"

    struct Answer: Decodable {
        struct Part: Decodable {
            var recordName: String?
            var serverErrorCode: String?
            var retryAfter: Double?
        }

        var serverErrorCode: String?
        var retryAfter: Double?
        /// Where a person signs in.
        var redirectURL: String?
        var records: [Part]?
        var zones: [Part]?

        /// What went wrong, and with which part.
        var problem: Part? {
            let parts = ((records ?? []) + (zones ?? [])).filter { $0.serverErrorCode != nil }
            // The others only say that one of them failed.
            let cause = parts.first { $0.serverErrorCode != atomic } ?? parts.first
            if serverErrorCode == nil || serverErrorCode == atomic, let cause { return cause }
            return serverErrorCode.map { Part(serverErrorCode: $0, retryAfter: retryAfter) }
        }

        init?(_ answer: StoreAnswer) {
            guard let read = try? JSONDecoder().decode(Self.self, from: Data(answer.body)) else { return nil }
            self = read
        }
    }

    /// Nil if it is a success.
    ///
    /// - Parameters:
    ///   - recordName: of the one record that was asked about.
    ///   - isAnswerLost: whether an earlier answer was, with the next sign-in in it.
    package static func failure(
        _ answer: StoreAnswer, of recordName: String? = nil, isAnswerLost: Bool = false
    ) -> StoreFailure? {
        let read = Answer(answer)
        guard let problem = read?.problem, let code = problem.serverErrorCode else {
            guard (200...299).contains(answer.status) else { return inBetween(answer) }
            return read == nil
                ? StoreFailure(.permanent, "its answer is not of the form that CloudKit's have") : nil
        }
        let retryAfter = problem.retryAfter ?? read?.retryAfter ?? answer.retryAfterSeconds
        let (kind, words) = kind(
            code, isOfRecord: problem.recordName != nil && problem.recordName == recordName, isAnswerLost: isAnswerLost)
        let detail = "status \(answer.status), \(DriveErrors.isWord(code) ? code : "an unknown code")"
        return StoreFailure(
            kind, words.map { "\($0) (\(detail))" } ?? detail, retryAfter: retryAfter.flatMap { $0 >= 0 ? $0 : nil })
    }

    private static func inBetween(_ answer: StoreAnswer) -> StoreFailure {
        let detail = "status \(answer.status), and not from CloudKit"
        return switch answer.status {
        case 404, 408, 421, 425, 429, 500...599:
            StoreFailure(.transient, detail, retryAfter: answer.retryAfterSeconds)
        default: StoreFailure(.permanent, detail)
        }
    }

    private static func kind(
        _ code: String, isOfRecord: Bool, isAnswerLost: Bool
    ) -> (StoreFailure.Kind, words: String?) {
        switch code {
        case "NOT_FOUND" where isOfRecord: (.missing, nil)
        case "NOT_FOUND": (.permanent, "CloudKit knows no such container or operation")
        case "EXISTS": (.exists, nil)
        case "ZONE_NOT_FOUND", "USER_DELETED_ZONE": (.noParent, nil)
        case "QUOTA_EXCEEDED": (.full, nil)
        // Somebody else writes the same record at this moment.
        case "THROTTLED", "TRY_AGAIN_LATER", "INTERNAL_ERROR", "CONFLICT", atomic: (.transient, nil)
        case "AUTHENTICATION_REQUIRED":
            (
                .credentials,
                isAnswerLost
                    ? "the answer that brought the next sign-in was lost on its way, and Apple gives each only once; what it asked for "
                        + "may have been done"
                    : "the sign-in is over: Apple ends it after 30 minutes, or two weeks if you asked to be kept signed in, and it is lost "
                        + "if a program is killed while it waits for an answer"
            )
        case "AUTHENTICATION_FAILED":
            (.credentials, "the API token is not one of this container and environment, or the sign-in is over")
        case "ACCESS_DENIED": (.denied, "the container does not allow it, or this Apple Account has no iCloud")
        case "BAD_REQUEST":
            (.permanent, "CloudKit takes no such request: is the record type CofferObject there, with all its fields?")
        default: (.permanent, nil)
        }
    }
}
