import ArgumentParser
import Coffer
import Foundation

struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a backup back into a folder.",
        discussion: """
            On a new device name the store with --from. If the store holds backups of several folders, or imports, it is said \
            which one is taken and which others there are. What is in the folder already is never overwritten. Damage costs \
            the files it lies in; they are named, and everything else is restored.
            """)

    @Argument(help: "The folder to restore to; it is made if it is not there.") var folder: String
    @Option(
        help: ArgumentHelp(
            "Which snapshot; without it the newest of this device's folder, or of any folder.", valueName: "number"))
    var snapshot: Int?
    @Option(
        help: ArgumentHelp(
            "The newest snapshot of that time, as 2026-11-21 or '2026-11-21 18:30'.", valueName: "time"))
    var at: Moment?
    @Option(
        help: ArgumentHelp("Restore this file or folder of the snapshot alone, at its own path.", valueName: "path"))
    var path: [String] = []
    @Option(
        help: ArgumentHelp(
            "Restore these alone: \(FileCategory.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "categories"))
    var category: [CategoryList] = []
    @Option(help: ArgumentHelp("The same as --category, or else as --path.", valueName: "what")) var only: [String] = []
    @Flag(help: "Restore into a folder that holds something; what is there is kept.") var intoExisting = false
    @Flag(help: "Restore what the store shows, even if it lacks your last backup.") var acceptOlder = false
    @Flag(help: "Begin even if the files have more bytes than the folder has room for.") var ignoreRoom = false
    @OptionGroup var unlock: UnlockOptions
    @OptionGroup var transfer: TransferOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard snapshot == nil || at == nil else { throw ValidationError("Say --snapshot or --at, not both.") }
        guard !folder.hasPrefix("whatsapp:") else {
            throw ValidationError("A backup is restored to a folder: name it without whatsapp:.")
        }
        // Before a password costs an attempt.
        for item in only {
            guard let meant = CategoryList.meant(by: item) else { continue }
            throw ValidationError("\(item) is no category. \(meant) For the path of that name say --path \(item).")
        }
    }

    private var selection: OpenedBackup.Selection {
        if let at { return .at(at.seconds) }
        return snapshot.map { .number($0) } ?? .newest
    }

    func run() async throws {
        let named = only.map { (CategoryList(argument: $0), $0) }
        let categories = Set((category + named.compactMap(\.0)).flatMap(\.categories))
        let paths = path + named.filter { $0.0 == nil }.map(\.1)
        // Before a password costs an attempt.
        try OpenedBackup.requireTarget(folder, intoExisting: intoExisting)
        let backup = try await unlock.open(common, transfer)
        var said: String?
        let summary = try await ProgressDisplay.during(common) { progress in
            try await backup.restore(
                selection, to: folder, intoExisting: intoExisting, only: paths, categories: categories,
                acceptingOlder: acceptOlder, ignoringRoom: ignoreRoom,
                saying: { note in
                    said = note
                    if !common.json { Output.note(Output.printable(note)) }
                }, progress: progress)
        }
        if common.json { try Output.json(summary) } else { describe(summary, said: said) }
        guard summary.missing.isEmpty else { throw ExitCode(CofferError.Code.restoreIncomplete.exitStatus) }
    }

    private func describe(_ summary: RestoreSummary, said: String?) {
        Output.line(
            "Restored snapshot \(summary.snapshot.number) of \(Words.time(summary.snapshot.began)) to \(folder): "
                + "\(Words.count(summary.files, "file")) in \(Words.count(summary.directories, "folder")), "
                + "\(Words.bytes(summary.contentBytes)).")
        if summary.filesKept > 0 {
            Output.line("\(Words.count(summary.filesKept, "file")) of them had been there already, and the same.")
        }
        if !summary.snapshot.leftOut.isEmpty {
            Output.line("That backup was made without \(Words.list(summary.snapshot.leftOut)).")
        }
        for note in summary.notes where note != said { Output.note(Output.printable(note)) }
        guard !summary.missing.isEmpty else { return }
        Output.note("Not restored:")
        for item in summary.missing {
            Output.note("  \(Output.printable(name: item.path)): \(Output.printable(item.reason))")
        }
        let rest = summary.files > 0 ? "Everything else is whole. " : ""
        Output.note("\(rest)An older snapshot may still have what is missing: coffer snapshots")
    }
}

/// `photos,videos`.
struct CategoryList: ExpressibleByArgument {
    let categories: [FileCategory]

    init?(argument: String) {
        let named = argument.split(separator: ",").map { FileCategory(rawValue: String($0)) }
        categories = named.compactMap { $0 }
        guard !categories.isEmpty, categories.count == named.count else { return nil }
    }

    /// A question for whoever mistyped categories; nil if the text is right, or looks like a pattern or a path.
    static func meant(by text: String) -> String? {
        guard CategoryList(argument: text) == nil, !text.contains(where: { "*?[/.\\".contains($0) }) else { return nil }
        let words = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        let near = words.compactMap { word in FileCategory.allCases.first { folded($0.rawValue) == folded(word) } }
        guard !near.isEmpty else { return nil }
        return "Did you mean \(near.map(\.rawValue).joined(separator: ","))?"
    }

    /// Without case, and without the s of a plural.
    private static func folded(_ word: String) -> String {
        let word = word.lowercased()
        return word.hasSuffix("s") ? String(word.dropLast()) : word
    }
}

/// A time as people write it, in this device's time zone; a day alone is all of it.
struct Moment: ExpressibleByArgument {
    let seconds: UInt64

    init?(argument: String) {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.isLenient = false
        let patterns = [
            "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd",
        ]
        for pattern in patterns {
            formatter.dateFormat = pattern
            guard let date = formatter.date(from: argument), date.timeIntervalSince1970 >= 0 else { continue }
            let units: Double = pattern.hasSuffix("ss") ? 1 : pattern.hasSuffix("mm") ? 60 : 86_400
            seconds = UInt64(date.timeIntervalSince1970 + units - 1)
            return
        }
        return nil
    }
}
