import Foundation

/// What an answer of rclone's that is no success means. Nearly everything comes with status 500 and the remote's own words behind
/// rclone's, so the words decide, and what is not known is tried again: rclone keeps most such things for passing ones, too.
package enum RcloneFailure {
    private struct Answer: Decodable {
        let error: String
    }

    /// In this order: an expired sign-in that cannot be renewed since the network is down is a network that is down, and a rate that
    /// is called a quota is a rate.
    private static let table: [(kind: StoreFailure.Kind, phrases: [String])] = [
        (
            .transient,
            [
                "ratelimit", "rate limit", "rate_limit", "too many requests", "too_many_requests", "toomanyrequests",
                "slowdown", "slow down", "throttl", "quota metric", "toomanywriteoperations",
                "too_many_write_operations", "no such host", "connection refused", "connection reset", "i/o timeout",
                "deadline exceeded", "timeout awaiting", "handshake timeout", "network is unreachable",
                "no route to host", "broken pipe", "unexpected eof", "context canceled", "server misbehaving",
                "internal server error", "internalerror", "bad gateway", "service unavailable", "serviceunavailable",
                "gateway timeout", "corrupted on transfer",
            ]
        ),
        (
            .full,
            [
                "storagequotaexceeded", "insufficient_space", "insufficient_quota", "insufficient storage",
                "insufficientstorage", "quotalimitreached", "storage_limit_exceeded", "storage cap exceeded",
                "storage_cap_exceeded", "over quota", "overquota", "quotaexceeded", "quota exceeded",
                "disk quota exceeded", "no space left on device", "not enough space", "disk full", "disk_full",
                "exceeded storage allocation",
            ]
        ),
        (
            .credentials,
            [
                "config reconnect", "empty token found", "couldn't fetch token", "token expired",
                "token has been expired", "expired_access_token", "invalid_access_token", "invalid_grant",
                "invalid_client", "invalidauthenticationtoken", "expiredtoken", "expired_auth_token",
                "bad_auth_token", "trust token", "401 unauthorized", "unauthenticated", "unable to authenticate",
                "authentication failed", "login incorrect", "logon failure", "logon_failure", "couldn't login",
                "invalidaccesskeyid", "signaturedoesnotmatch", "account not found", "auth not found",
            ]
        ),
        (
            .denied,
            [
                "permission denied", "access denied", "accessdenied", "access is denied", "forbidden",
                "read-only file system", "operation not permitted", "insufficientfilepermissions",
                "insufficient permissions", "insufficient_permissions", "no_permission", "no_write_permission",
            ]
        ),
        (
            .noPlace,
            [
                "didn't find section in config file", "didn't find backend called", "is a file not a directory",
                "doesn't support", "input too short when revealing password", "no authentication method configured",
                "unable to get drive_id", "outdated config",
                "failed to load config file",
            ]
        ),
        (.permanent, ["directory not empty", "not empty"]),
    ]

    package static func failure(_ answer: StoreAnswer) -> StoreFailure {
        guard let said = try? JSONDecoder().decode(Answer.self, from: Data(answer.body)).error else {
            // Its downloads say so, without words, of what they cannot open: mostly since the range lies behind the end.
            let isUnopened = answer.status == 404 || answer.status == 416
            return StoreFailure(
                isUnopened ? .rangeInvalid : answer.status >= 500 ? .transient : .permanent,
                "rclone answers with status \(answer.status)")
        }
        return StoreFailure(kind(status: answer.status, said.lowercased()), words(said))
    }

    private static func kind(status: Int, _ said: String) -> StoreFailure.Kind {
        if status == 404, said.hasSuffix("object not found") || said.hasSuffix("directory not found") {
            return .missing
        }
        for (kind, phrases) in table where phrases.contains(where: said.contains) { return kind }
        return status >= 500 ? .transient : .permanent
    }

    // MARK: Words

    private static let panic = "panic received: fatal error: "
    private static let wordsMax = 300
    private static let secretLengthMin = 20

    /// What rclone said, on one line, without what may be a secret: of URLs the host alone, and no long word with digits in it, as
    /// tokens and keys are.
    package static func words(_ said: String) -> String {
        // How it tells what would have ended the program.
        let said = said.hasPrefix(panic) ? String(said.dropFirst(panic.count)) : said
        let line = String(String.UnicodeScalarView(said.unicodeScalars.map { isPlain($0) ? $0 : " " }))
        let words = line.split(separator: " ").map { shown($0) }
        return "rclone says: \(words.joined(separator: " ").prefix(wordsMax))"
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory != .control && scalar.properties.generalCategory != .format
            && scalar.properties.generalCategory != .lineSeparator
            && scalar.properties.generalCategory != .paragraphSeparator
    }

    private static func shown(_ word: Substring) -> String {
        guard let mark = word.firstRange(of: "://") else { return withoutSecrets(word) }
        let before = withoutSecrets(word[..<mark.lowerBound]) + "://"
        let rest = word[mark.upperBound...]
        let authority = rest.prefix { !"/?#\"'".contains($0) }
        // An @ behind that may end a password with such signs in it.
        let isClear = !rest[authority.endIndex...].contains("@") && !rest.contains("://")
        let host = isClear ? authority.split(separator: "@", omittingEmptySubsequences: false).last ?? "" : "…"
        let end = word.drop { $0 == "\"" || $0 == "'" }.last.map { "\"':,;".contains($0) ? String($0) : "" } ?? ""
        return "\(before)\(withoutSecrets(host))/…\(end)"
    }

    private static func withoutSecrets(_ word: Substring) -> String {
        var shown = ""
        var run = ""
        func flush() {
            let isLong = run.count >= secretLengthMin && run.contains { $0.isNumber }
            shown += isLong ? "…" : run
            run = ""
        }
        for character in word {
            if character.isLetter || character.isNumber || "_-.+/=~%".contains(character) {
                // A path is shown part by part.
                if character == "/" || character == "=" {
                    flush()
                    shown.append(character)
                } else {
                    run.append(character)
                }
            } else {
                flush()
                shown.append(character)
            }
        }
        flush()
        return shown
    }
}
