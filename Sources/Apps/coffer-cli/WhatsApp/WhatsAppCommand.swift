import ArgumentParser
import Coffer

struct WhatsAppCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whatsapp",
        abstract: "WhatsApp's own end-to-end encrypted backups: open, check, write, import.",
        discussion: """
            For your own files, with your own key: the 64 digits that WhatsApp showed, or the file encrypted_backup.key. \
            Without the key nobody opens them, Coffer neither. Nothing is sent anywhere but what import backs up, encrypted anew.
            """,
        subcommands: [
            WhatsAppOpen.self, WhatsAppCheck.self, WhatsAppSeal.self, WhatsAppMedia.self, WhatsAppKeyCommand.self,
            WhatsAppImport.self,
        ])
}

/// WhatsApp's key, for the commands that need it.
struct WhatsAppKeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file that holds the key: 64 digits, encrypted_backup.key, or 32 bytes. Without it you are asked.",
            valueName: "file"))
    var keyFile: String?

    func key() throws -> WhatsAppKey {
        var input =
            try keyFile.map(SecretInput.read)
            ?? SecretInput.askDigits("WhatsApp's 64-digit key: ", insteadUse: "--key-file")
        return try WhatsAppKey(wiping: &input)
    }
}

/// The key, and how to say what was found.
struct WhatsAppOptions: ParsableArguments {
    @OptionGroup private var keyOptions: WhatsAppKeyOptions

    @Flag(help: "Print one JSON array on standard output, with an object for each file; errors as an object.")
    var json = false

    func key() throws -> WhatsAppKey { try keyOptions.key() }
}

enum WhatsAppOutput {
    /// Says what was found of each file; ends with the exit status of the worst.
    static func report(_ reports: [WhatsAppReport], mediaFiles: Int, _ options: WhatsAppOptions) throws {
        if options.json {
            try Output.json(reports)
        } else {
            reports.forEach(describe)
            if mediaFiles > 0 {
                Output.note(
                    "\(Words.count(mediaFiles, "media file")) (.mcrypt1) in these folders: left alone here.")
            }
        }
        if let worst = worst(of: reports.map(\.exitStatus)) { throw ExitCode(worst) }
    }

    /// What costs most comes first: the first of these that any file has is the command's.
    static func worst(of statuses: [Int32]) -> Int32? {
        let order: [CofferError.Code] = [
            .noSource, .targetFailed, .targetNotEmpty, .wrongKey, .damagedOrWrongKey, .truncated, .contentRefused,
            .olderFormat, .notABackup,
            .okPayloadHeaderOrTrailerAltered,
        ]
        return order.map(\.exitStatus).first(where: statuses.contains)
    }

    private static func describe(_ report: WhatsAppReport) {
        let verdict = report.verdict.map { "\($0). " } ?? ""
        Output.line("\(Output.printable(name: report.file)): \(verdict)\(Output.printable(report.words))")
        if let content = report.content { Output.line("  Holds: \(words(content, report))") }
        if let header = report.header, let claims = words(header) {
            Output.line("  Its header says, and nothing proves it: \(claims).")
        }
        if let output = report.output { Output.line("  Written: \(Output.printable(name: output))") }
    }

    private static func words(_ content: String, _ report: WhatsAppReport) -> String {
        let kind =
            switch content {
            case "sqlite": "an SQLite database"
            case "zip": "a ZIP archive"
            case "json": "JSON"
            case "webp": "a WebP picture"
            case "empty": "nothing"
            default: "data of another kind"
            }
        var words = kind
        if let bytes = report.contentBytes, bytes > 0 { words += ", \(Words.bytes(bytes))" }
        let counts = [report.chats.map { Words.count($0, "chat") }, report.messages.map { Words.count($0, "message") }]
            .compactMap { $0 }
        return counts.isEmpty ? words : "\(words); \(counts.joined(separator: ", "))"
    }

    private static func words(_ claims: WhatsAppReport.Claims) -> String? {
        let parts = [
            claims.appVersion.map { "WhatsApp \($0)" }, claims.deviceModel.map { "on \($0)" },
            claims.phoneSuffix.map { "number ending in \($0)" }, claims.keyType.map { "key type \($0)" },
        ].compactMap { $0 }
        return parts.isEmpty ? nil : Output.printable(parts.joined(separator: ", "))
    }
}
