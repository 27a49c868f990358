import Crypt15
import Foundation

/// What was found out about one of WhatsApp's files, and what was done with it.
public struct WhatsAppReport: Encodable, Sendable, Equatable {
    /// What the header says. Whoever has the file can change it; nothing proves it.
    public struct Claims: Encodable, Sendable, Equatable {
        public let authenticated = false
        public let appVersion: String?
        public let deviceModel: String?
        public let phoneSuffix: String?
        public let backupVersion: UInt64?
        /// `password`, `digits`, `passkey`, or a number.
        public let keyType: String?
    }

    /// What an increment says it holds.
    public struct Increment: Encodable, Sendable, Equatable {
        public let messages: Int?
        public let messagesUpdated: Int?
        public let messagesDeleted: Int?
        public let members: [String]
        /// Always: no database was changed by it.
        public let applied = false
    }

    public let file: String
    /// `ok`, `ok-no-trailer`, `ok-payload-header-or-trailer-altered`, `wrong-key`, `damaged-or-wrong-key`, `truncated`,
    /// `not-a-backup` or `older-format`; nil if the file could not be read.
    public internal(set) var verdict: String?
    /// What that means, and what to do next, in words.
    public internal(set) var words: String
    /// Why the content of a proven file is not given out: `damaged`, `cut`, `bytes-behind`, `too-large`.
    public internal(set) var problem: String?
    /// `sqlite`, `zip`, `json`, `webp`, `other` or `empty`; only of a proven file.
    public internal(set) var content: String?
    public internal(set) var contentBytes: UInt64?
    /// Whether the file's beginning opens with the key, although the file is not proven.
    public internal(set) var keyFitsBeginning: Bool?
    /// How many bytes follow the end of the backup.
    public internal(set) var bytesBehind: UInt64?
    public internal(set) var header: Claims?
    public internal(set) var chats: Int?
    public internal(set) var messages: Int?
    public internal(set) var increment: Increment?
    /// The file that was written.
    public internal(set) var output: String?
    /// The stable name of what is wrong, as in the manual's table; nil if nothing is.
    public internal(set) var error: String?

    /// 0 if nothing is wrong.
    public var exitStatus: Int32 { code?.exitStatus ?? 0 }

    var code: CofferError.Code?

    private enum CodingKeys: String, CodingKey {
        case file, verdict, words, problem, content, contentBytes, keyFitsBeginning, bytesBehind, header, chats,
            messages
        case increment, output, error
    }
}

extension WhatsAppReport {
    init(file: String, unreadable reason: String) {
        self.init(file: file, words: "It could not be read: \(reason).")
        set(.noSource)
    }

    init(file: String, _ error: CofferError) {
        self.init(file: file, words: "")
        fail(error)
    }

    init(file: String, _ reading: BackupReading) {
        self.init(file: file, verdict: reading.verdict.rawValue, words: reading.words)
        set(reading.code)
        problem = reading.problem.map(\.name)
        header = reading.header.map { Claims($0.claims) }
        bytesBehind = reading.bytesBehind
        if reading.isWhole {
            content = reading.content.rawValue
            contentBytes = reading.contentBytes
        } else if !reading.verdict.isProven, reading.header != nil {
            keyFitsBeginning = reading.keyFits
        }
    }

    /// What was found stays, but nothing could be written.
    mutating func fail(_ error: CofferError) {
        set(error.code)
        words = "\(error.message) \(error.advice)"
    }

    mutating func set(_ code: CofferError.Code?) {
        self.code = code
        error = code?.rawValue
    }

    mutating func add(_ sentence: String) { words += " \(sentence)" }
}

extension WhatsAppReport.Claims {
    init(_ claims: HeaderClaims) {
        appVersion = claims.appVersion
        deviceModel = claims.deviceModel
        phoneSuffix = claims.phoneSuffix
        backupVersion = claims.backupVersion
        keyType =
            switch claims.keyType {
            case .password: "password"
            case .digits: "digits"
            case .passkey: "passkey"
            case .other(let number): "\(number)"
            case nil: nil
            }
    }
}

extension ContentProblem {
    var name: String {
        switch self {
        case .damaged: "damaged"
        case .cut: "cut"
        case .bytesBehind: "bytes-behind"
        case .tooLarge: "too-large"
        }
    }
}
