package import Logging

/// Every line that a vault logs. `Docs/Operating.md` has the same table; a test compares them.
///
/// No line has an account, a hash of one, a token, an address of a client, or anything else that a stranger chose.
package enum LogLine: String, CaseIterable, Sendable {
    case starting, serving, draining, stopped, request
    case notReady = "not_ready"
    case messageRefused = "message_refused"
    case ledgerFailed = "ledger_failed"
    case timedWorkFailed = "timed_work_failed"
    case recordDamaged = "record_damaged"
    case tenantUnreadable = "tenant_unreadable"
    case replyUnencodable = "reply_unencodable"
    case certificateRead = "certificate_read"
    case certificateKept = "certificate_kept"

    package var level: Logger.Level {
        switch self {
        case .starting, .serving, .draining, .stopped, .certificateRead: .info
        case .request, .messageRefused: .debug
        case .notReady: .warning
        case .ledgerFailed, .timedWorkFailed, .recordDamaged, .tenantUnreadable, .replyUnencodable,
            .certificateKept:
            .error
        }
    }

    package var text: Logger.Message {
        switch self {
        case .starting: "the vault starts"
        case .serving: "the store reads and the anchor answers"
        case .draining: "told to stop: no new connections, requests in work are answered"
        case .stopped: "the vault stopped"
        case .request: "a message was answered"
        case .notReady: "not ready"
        case .messageRefused: "a message got no sealed reply"
        case .ledgerFailed: "the ledger could not answer"
        case .timedWorkFailed: "expiry, destruction or erasure did not run; it is tried again"
        case .recordDamaged: "a record is damaged and its account is not served; the others are"
        case .tenantUnreadable: "a tenant could not be looked up"
        case .replyUnencodable: "a reply has no encoding"
        case .certificateRead: "the TLS certificate was read"
        case .certificateKept: "the new TLS certificate does not read; the one before stays"
        }
    }
}

extension Logger {
    package func log(_ line: LogLine, _ metadata: @autoclosure () -> Logger.Metadata = [:]) {
        log(level: line.level, line.text, metadata: metadata().merging(["event": "\(line.rawValue)"]) { $1 })
    }
}
