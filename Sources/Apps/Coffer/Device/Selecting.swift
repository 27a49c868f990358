import BackupEngine
import BackupSources

/// What a file is, for a person who chooses.
public enum FileCategory: String, Codable, Sendable, CaseIterable {
    case messages
    case photos
    case voice
    case documents
    case stickers
    case videos
    case statuses
    case other

    var category: BackupEngine.Category { BackupEngine.Category(rawValue: rawValue) ?? .other }
}

/// What a person chose not to save.
public struct LeftOut: Codable, Equatable, Sendable {
    /// Files of these, wherever they are.
    public var categories: Set<FileCategory> = []
    /// Files and folders whose name or path is as one of these says (`Docs/Manual.md`).
    public var patterns: [String] = []
    /// WhatsApp's own backups that a newer one beside them has replaced; nil for not.
    public var olderDumps: Bool?

    public static let nothing = LeftOut()

    public init() {}

    /// nil for nothing, as it is kept.
    var orNil: LeftOut? { self == .nothing ? nil : self }

    /// What stands for the older ones of WhatsApp's own backups.
    public static let olderDumpsItem = SourceSelection.olderDumps

    /// Categories, `older-dumps` and patterns, as they stand in a snapshot.
    public var items: [String] {
        FileCategory.allCases.filter { categories.contains($0) }.map(\.rawValue)
            + (olderDumps == true ? [Self.olderDumpsItem] : []) + patterns
    }

    /// - Throws: usage, if a pattern is none.
    func selection() throws(CofferError) -> SourceSelection {
        var globs: [Glob] = []
        for pattern in patterns { globs.append(try Self.glob(pattern)) }
        return SourceSelection(
            withoutCategories: Set(categories.map(\.category)), withoutPatterns: globs,
            withoutOlderDumps: olderDumps == true)
    }

    private static func glob(_ pattern: String) throws(CofferError) -> Glob {
        do { return try Glob(pattern) } catch {
            let why =
                switch error {
                case .empty: "it is empty"
                case .badClass: "its [ has no ], or a range in it ends before it begins"
                case .danglingEscape: "it ends with a backslash"
                case .badName: "a name in it is empty, . or .., or holds a line end"
                }
            throw CofferError(
                .badPattern, "\(pattern) is no pattern: \(why). Nothing was changed.",
                advice: "For example: '*.tmp', 'Cache/**', '/Media/Video/'.")
        }
    }
}

/// How much of each category the folder holds, and what is saved of it.
public struct SelectionStatus: Sendable, Equatable, Codable {
    public struct Amount: Sendable, Equatable, Codable {
        public let category: FileCategory
        public let isSaved: Bool
        public let files: Int
        public let bytes: UInt64
        /// Of these, what is left out by its category or by a pattern.
        public let filesLeftOut: Int
        public let bytesLeftOut: UInt64
    }

    public struct OlderDumps: Sendable, Equatable, Codable {
        public let files: Int
        public let bytes: UInt64
        public let filesLeftOut: Int
    }

    public let source: String
    public let categories: [Amount]
    /// Of these, WhatsApp's own backups that a newer one has replaced: `filesLeftOut` says whether they are saved.
    public let olderDumps: OlderDumps
    public let leftOut: LeftOut
    /// What the person must know, a sentence each.
    public let warnings: [String]
}

extension Device {
    /// What is saved of the folder, and how much each category takes.
    public func selection() throws(CofferError) -> SelectionStatus { try survey(try enabledSettings()) }

    /// Changes what is saved from the next backup on; earlier ones stay as they are.
    public func select(_ change: (inout LeftOut) throws(CofferError) -> Void) throws(CofferError) -> SelectionStatus {
        let lock = try folder.lock()
        defer { lock.release() }
        var settings = try enabledSettings()
        var leftOut = settings.leftOut ?? .nothing
        try change(&leftOut)
        if leftOut.olderDumps == true, !SourceLocation(settings.source).isWhatsApp {
            throw CofferError(
                .badPattern,
                "\(LeftOut.olderDumpsItem) is about WhatsApp's own backups in a whatsapp: folder. Nothing was changed.",
                advice: "For files or folders of that name: '**/\(LeftOut.olderDumpsItem)'.")
        }
        settings.leftOut = leftOut.orNil
        // A pattern that is none, or a folder that is not there, changes nothing.
        let status = try survey(settings)
        try folder.save(settings)
        return status
    }

    private func survey(_ settings: DeviceSettings) throws(CofferError) -> SelectionStatus {
        let leftOut = settings.leftOut ?? .nothing
        let selection = try leftOut.selection()
        let source = try SourceLocation(settings.source).open(without: folder)
        let survey: SelectionSurvey
        do {
            survey = try SelectionSurvey.run(source, selection)
        } catch {
            throw CofferError(BackupError.source(error), place: settings.store)
        }
        let amounts = FileCategory.allCases.map { category in
            let amount = survey[category.category]
            return SelectionStatus.Amount(
                category: category, isSaved: !leftOut.categories.contains(category), files: amount.files,
                bytes: amount.bytes, filesLeftOut: amount.filesLeftOut, bytesLeftOut: amount.bytesLeftOut)
        }
        let dumps = survey.superseded
        return SelectionStatus(
            source: settings.source, categories: amounts,
            olderDumps: .init(files: dumps.files, bytes: dumps.bytes, filesLeftOut: dumps.filesLeftOut),
            leftOut: leftOut, warnings: warnings(survey, leftOut))
    }

    /// A dump that a newer one has replaced is not missed.
    private func warnings(_ survey: SelectionSurvey, _ leftOut: LeftOut) -> [String] {
        let leavesAllOut = leftOut.categories.contains(.messages)
        let messages = survey[.messages]
        let replaced = leavesAllOut ? 0 : survey.superseded.filesLeftOut
        guard messages.filesLeftOut > replaced else { return leavesAllOut ? ["Messages are not saved."] : [] }
        return [
            "\(messages.filesLeftOut - replaced) of \(messages.files - replaced) databases and other files with messages are not "
                + "saved."
        ]
    }
}
