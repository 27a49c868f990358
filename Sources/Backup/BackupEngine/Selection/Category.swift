package import BackupFormat

/// What a file of a chat history is, for a person who chooses what to save or what to have back first.
///
/// The order is the one of a restore: what a person misses most comes first.
package enum Category: String, CaseIterable, Sendable {
    case messages
    case photos
    case voice
    case documents
    case stickers
    case videos
    /// What others showed for a day.
    case statuses
    case other
}

extension Category {
    /// The category of an entry of a snapshot, without a look at its content; what is unclear is `other`.
    ///
    /// - Parameter path: relative to the backup, `/` between names.
    package init(of path: [UInt8], form: FileForm) { self = Self.known(of: path, form: form) ?? .other }

    /// The same, or nil if only the content can tell (`init(beginning:)`).
    package static func known(of path: [UInt8], form: FileForm? = nil) -> Category? {
        // A database is taken for messages whatever its name: then it is never left out, and restored first.
        if let form, form != .asIs { return .messages }
        let names = path.split(separator: UInt8(ascii: "/")).map { Name($0) }
        guard let name = names.last else { return nil }
        let folders = names.dropLast()
        if isMessages(name) { return .messages }
        if let category = whatsAppCategory(folders) { return category }
        let category = name.ending.flatMap { endings[$0] } ?? folderCategory(folders)
        switch category {
        case .photos?: return folders.contains { $0.text.contains("sticker") } ? .stickers : .photos
        case .videos? where folderCategory(folders) == .voice: return .voice
        default: return category
        }
    }

    /// Exported chats are text files with names of their own.
    private static func isMessages(_ name: Name) -> Bool {
        if let ending = name.ending, messageEndings.contains(where: { ending.hasPrefix($0) }) { return true }
        return name.text == "_chat.txt" || name.text.hasPrefix("whatsapp chat with ")
    }

    /// WhatsApp sorts what it saves into folders of these names: a photo that was sent as a document is one.
    private static func whatsAppCategory(_ folders: ArraySlice<Name>) -> Category? {
        for folder in folders.reversed() {
            if folder.text == ".statuses" { return .statuses }
            guard let app = whatsAppPrefixes.first(where: { folder.text.hasPrefix($0) }) else { continue }
            if let category = whatsAppFolders[String(folder.text.dropFirst(app.count))] { return category }
        }
        return nil
    }

    /// The innermost folder that says what is in it.
    private static func folderCategory(_ folders: ArraySlice<Name>) -> Category? {
        for folder in folders.reversed() {
            if let (_, category) = folderWords.first(where: { folder.text.contains($0.word) }) { return category }
        }
        return nil
    }

    /// By the first bytes of a file whose name says nothing; nil if they do not either.
    package init?(beginning bytes: [UInt8]) {
        func has(_ text: String, at place: Int = 0) -> Bool { bytes.dropFirst(place).starts(with: text.utf8) }
        if has("SQLite format 3\0") {
            self = .messages
        } else if has("RIFF") {
            switch bytes.dropFirst(8).prefix(4) {
            case let kind where kind.elementsEqual("WEBP".utf8): self = .photos
            case let kind where kind.elementsEqual("WAVE".utf8): self = .voice
            default: self = .videos
            }
        } else if has("ftyp", at: 4) {
            let brand = String(decoding: bytes.dropFirst(8).prefix(4), as: UTF8.self)
            self = Self.brands[brand] ?? .videos
        } else if let (_, category) = Self.beginnings.first(where: { bytes.starts(with: $0.bytes) }) {
            self = category
        } else {
            return nil
        }
    }
}

// MARK: The tables

extension Category {
    /// How many first bytes `init(beginning:)` looks at.
    package static let beginningBytes = 16

    /// Also with what follows: `db-wal`, `sqlite-journal`, `crypt15`.
    private static let messageEndings = ["db", "sqlite", "crypt1", "mcrypt1"]

    private static let endings: [String: Category] = {
        let table: [(Category, String)] = [
            (.photos, "jpg jpeg jpe png gif webp heic heif avif tif tiff bmp dng"),
            (.videos, "mp4 m4v mov 3gp 3g2 mkv webm avi mpg mpeg wmv"),
            (.voice, "opus ogg oga m4a aac amr mp3 wav flac caf wma"),
            (
                .documents,
                "pdf txt md rtf doc docx xls xlsx ppt pptx odt ods odp csv epub pages numbers key vcf ics zip html htm"
            ),
            (.stickers, "was tgs wastickers"),
        ]
        return Dictionary(
            table.flatMap { category, endings in endings.split(separator: " ").map { (String($0), category) } },
            uniquingKeysWith: { first, _ in first })
    }()

    private static let folderWords: [(word: String, category: Category)] = [
        ("sticker", .stickers), ("voice", .voice), ("audio", .voice), ("ptt", .voice), ("document", .documents),
        ("video", .videos), ("animated gif", .videos), ("image", .photos), ("photo", .photos), ("picture", .photos),
    ]

    private static let whatsAppPrefixes = ["whatsapp business ", "whatsapp "]

    private static let whatsAppFolders: [String: Category] = [
        "images": .photos, "profile photos": .photos, "video": .videos, "video notes": .videos,
        "animated gifs": .videos, "voice notes": .voice, "audio": .voice, "documents": .documents,
        "stickers": .stickers, "sticker packs": .stickers, "backup excluded stickers": .stickers,
    ]

    /// Of the container of MPEG-4 (ISO 14496-12); others are films.
    private static let brands: [String: Category] = [
        "M4A ": .voice, "M4B ": .voice, "heic": .photos, "heix": .photos, "mif1": .photos, "avif": .photos,
    ]

    private static let beginnings: [(bytes: [UInt8], category: Category)] = [
        ([0xff, 0xd8, 0xff], .photos), ([0x89] + Array("PNG".utf8), .photos), (Array("GIF8".utf8), .photos),
        ([0x1a, 0x45, 0xdf, 0xa3], .videos), (Array("OggS".utf8), .voice), (Array("#!AMR".utf8), .voice),
        (Array("ID3".utf8), .voice), (Array("fLaC".utf8), .voice), (Array("%PDF".utf8), .documents),
        (Array("PK\u{3}\u{4}".utf8), .documents), (Array("{\\rtf".utf8), .documents),
        (Array("BEGIN:VCARD".utf8), .documents),
    ]

    /// A name in lower case, as far as ASCII goes, and what follows its last dot.
    private struct Name {
        let text: String
        let ending: String?

        init(_ bytes: ArraySlice<UInt8>) {
            let text = String(decoding: bytes.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
            self.text = text
            ending = text.lastIndex(of: ".").map { String(text[text.index(after: $0)...]) }
        }
    }
}
