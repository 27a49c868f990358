import ArgumentParser
import Coffer

/// Categories and patterns as people write them: `photos,documents` or `*.tmp`.
private enum Items {
    static let everything = "everything"

    /// A list is one of categories; anything else is a pattern, commas and all.
    static func parse(_ items: [String]) -> (categories: [FileCategory], patterns: [String]) {
        var categories: [FileCategory] = []
        var patterns: [String] = []
        for item in items {
            if let list = CategoryList(argument: item) {
                categories += list.categories
            } else {
                patterns.append(item)
            }
        }
        return (categories, patterns)
    }

    /// Typing errors, which would be patterns that nothing fits.
    static func requireNoneMisspelt(_ items: [String]) throws {
        for item in items {
            guard let meant = CategoryList.meant(by: item) else { continue }
            throw ValidationError(
                "\(item) is no category. \(meant) For files and folders of that name say '**/\(item)'.")
        }
    }

    static func describe(_ status: SelectionStatus) {
        Output.line("Of \(status.source):")
        for amount in status.categories {
            var saved = amount.isSaved ? "saved" : "left out"
            if amount.isSaved, amount.filesLeftOut > 0 {
                saved += ", but for \(Words.count(amount.filesLeftOut, "file")) (\(Words.bytes(amount.bytesLeftOut)))"
            }
            let name = amount.category.rawValue
            let padding = String(repeating: " ", count: max(0, 10 - name.count))
            Output.line(
                "  \(name)\(padding) \(Words.count(amount.files, "file")), \(Words.bytes(amount.bytes)): \(saved)")
        }
        let dumps = status.olderDumps
        if dumps.files > 0 {
            let saved = dumps.filesLeftOut == 0 ? "saved" : "left out"
            Output.line(
                "  \(LeftOut.olderDumpsItem): of the messages \(Words.count(dumps.files, "file")), \(Words.bytes(dumps.bytes)), that "
                    + "WhatsApp has replaced by newer ones: \(saved)")
        }
        for pattern in status.leftOut.patterns { Output.line("  left out: \(Output.printable(name: pattern))") }
        for warning in status.warnings { Output.note("Warning: \(warning)") }
    }
}

struct Include: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or choose what is saved.",
        discussion: """
            Without anything it shows the categories (\(FileCategory.allCases.map(\.rawValue).joined(separator: ", "))), \
            what each takes, and what is left out. It counts from the next backup on; earlier ones stay as they are.
            """)

    @Argument(
        help: ArgumentHelp(
            "Categories to save, patterns not to leave out any more, or 'everything'.", valueName: "item"))
    var items: [String] = []
    @Flag(help: "Save these categories and messages, and no others.") var only = false
    @Option(help: ArgumentHelp("Categories or a pattern to leave out.", valueName: "item")) var exclude: [String] = []
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !only || !Items.parse(items).categories.isEmpty else {
            throw ValidationError("Say which categories: --only needs at least one.")
        }
        try Items.requireNoneMisspelt(exclude)
    }

    func run() throws {
        let status: SelectionStatus
        if items.isEmpty, exclude.isEmpty {
            status = try common.device.selection()
        } else {
            status = try common.device.select { (leftOut: inout LeftOut) throws(CofferError) in try change(&leftOut) }
        }
        if common.json { try Output.json(status) } else { Items.describe(status) }
    }

    private func change(_ leftOut: inout LeftOut) throws(CofferError) {
        if items.contains(Items.everything) { leftOut = .nothing }
        if items.contains(LeftOut.olderDumpsItem) { leftOut.olderDumps = nil }
        let (categories, patterns) = Items.parse(
            items.filter { $0 != Items.everything && $0 != LeftOut.olderDumpsItem })
        if only { leftOut.categories = Set(FileCategory.allCases).subtracting(categories + [.messages]) }
        leftOut.categories.subtract(categories)
        for pattern in patterns {
            guard leftOut.patterns.contains(pattern) else {
                throw CofferError(
                    .badPattern,
                    "\(pattern) is neither a category nor a pattern that is left out. Nothing was changed.",
                    advice: CategoryList.meant(by: pattern) ?? "`coffer include` shows what is left out.")
            }
            leftOut.patterns.removeAll { $0 == pattern }
        }
        Exclude.add(exclude, to: &leftOut)
    }
}

struct Exclude: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Choose what is not saved.",
        discussion: """
            Categories, for example videos,stickers, or patterns: '*.tmp' for files and folders of that name anywhere, \
            'Cache/**' for all that is in the folder Cache at the top, '/Media/Old/' for that folder. Put patterns in quotes.
            """)

    @Argument(help: ArgumentHelp("Categories, or a pattern.", valueName: "item")) var items: [String]
    @OptionGroup var common: CommonOptions

    func validate() throws { try Items.requireNoneMisspelt(items) }

    func run() throws {
        let status = try common.device.select { (leftOut: inout LeftOut) throws(CofferError) in
            Self.add(items, to: &leftOut)
        }
        if common.json { try Output.json(status) } else { Items.describe(status) }
    }

    static func add(_ items: [String], to leftOut: inout LeftOut) {
        if items.contains(LeftOut.olderDumpsItem) { leftOut.olderDumps = true }
        let (categories, patterns) = Items.parse(items.filter { $0 != LeftOut.olderDumpsItem })
        leftOut.categories.formUnion(categories)
        leftOut.patterns += patterns.filter { !leftOut.patterns.contains($0) }
    }
}
