import Crypt15

// The one place where verdicts become words: what is so, what it means, what to do next.

extension BackupReading {
    var code: CofferError.Code? {
        if verdict.isProven, problem != nil { return .contentRefused }
        return verdict.code
    }

    var words: String {
        switch verdict {
        case .ok, .okNoTrailer, .okPayloadHeaderOrTrailerAltered: provenWords
        case .wrongKey:
            keyFits
                ? changedWords
                : "This key does not open it. The file is in one piece. Compare the digits with what you wrote down, and think whether WhatsApp made a new key since: an older key opens the older files alone."
        case .damagedOrWrongKey: damagedWords
        case .truncated:
            "It ends too early: a part is missing. Copy it from the phone again, and compare the sizes."
        case .notABackup: "It is no WhatsApp backup: \(notABackup?.words ?? "its beginning is not one's")."
        case .olderFormat:
            "It is a backup of the older kind \(olderFormat?.rawValue ?? ""), whatever its name says. The 64-digit key does not open it: it needs the file `key` of that phone, and a program for those files."
        }
    }

    private var changedWords: String {
        "Somebody changed it, and wrote a new checksum over that: the key is the right one, for the beginning opens, but the seal is not right. Nothing of it can be believed. Copy it from the phone again, or take an older backup."
    }

    private var damagedWords: String {
        if let behind = bytesBehind {
            return
                "The backup ends \(behind) bytes before the file does: something was written behind it, perhaps a second backup. Copy it from the phone again."
        }
        return keyFits
            ? "It is damaged. The key is the right one, for the beginning opens. Copy it from the phone again, or take an older backup."
            : "It is damaged, or this key does not open it: neither its checksum nor its seal is right. Copy it from the phone again; if it is the same, compare the digits."
    }

    private var provenWords: String {
        let end =
            switch verdict {
            case .okNoTrailer: " The file has no checksum at its end; some of WhatsApp's have none."
            case .ok: ""
            default:
                " But its header, or the checksum at its end, is not what was written: believe nothing of the header."
            }
        guard let problem else { return "Whole: every byte of the content is as it was sealed.\(end)" }
        return "The key is right, and what was sealed is all there, but nothing was given out: \(problem.words).\(end)"
    }
}

extension ContentProblem {
    fileprivate var words: String {
        switch self {
        case .damaged: "it cannot be unpacked, so it was damaged before it was encrypted"
        case .cut: "it ends too early, so it was cut before it was encrypted"
        case .bytesBehind(let count): "\(count) bytes follow its end, which no backup of WhatsApp's has"
        case .tooLarge(let limit):
            "more than \(limit) bytes come out, for which there is no room. Make room, or allow more with --max-bytes"
        }
    }
}

extension NotABackup {
    fileprivate var words: String {
        switch self {
        case .empty: "it is empty"
        case .headerLength, .headerFields: "its first bytes are no header"
        case .noNonce: "its header lacks what is needed to decrypt it"
        case .otherFile(.sqlite): "it is an SQLite database in the clear, which needs no key"
        case .otherFile(.zip): "it is a ZIP archive in the clear"
        case .otherFile(.webp): "it is a picture"
        case .otherFile: "it is another kind of file"
        }
    }
}

extension Verdict {
    var code: CofferError.Code? {
        switch self {
        case .ok, .okNoTrailer: nil
        case .okPayloadHeaderOrTrailerAltered: .okPayloadHeaderOrTrailerAltered
        case .wrongKey: .wrongKey
        case .damagedOrWrongKey: .damagedOrWrongKey
        case .truncated: .truncated
        case .notABackup: .notABackup
        case .olderFormat: .olderFormat
        }
    }
}
