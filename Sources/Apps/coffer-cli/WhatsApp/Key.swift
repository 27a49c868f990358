import ArgumentParser
import Coffer
import Foundation

struct WhatsAppKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Show, convert or correct the 64-digit key of WhatsApp's backups.",
        discussion: """
            The key comes from a file (64 digits in any spacing, encrypted_backup.key from the phone, or 32 bytes; - is \
            standard input), or is typed. It is shown at a terminal, or written to new files that only you can read. \
            With --find and a backup of yours the digits are corrected if they differ from the right ones by one typing \
            error: a wrong digit, neighbours or groups that changed places, the grid read by columns, a digit or a group \
            too many, or a digit missing.
            """)

    @Argument(help: ArgumentHelp("The file with the key; without it you are asked.", valueName: "file")) var file:
        String?
    @Option(help: ArgumentHelp("A .crypt15 file of yours: find the typing error.", valueName: "backup")) var find:
        String?
    @Option(help: ArgumentHelp("Write the 64 digits to this new file instead of showing them.", valueName: "file"))
    var digitsTo: String?
    @Option(
        help: ArgumentHelp("Write the key to this new file, in the form of encrypted_backup.key.", valueName: "file"))
    var keyFileTo: String?
    @Flag(help: "Print one JSON object on standard output, errors too; it never has the key in it.") var json = false

    private var isWritten: Bool { digitsTo != nil || keyFileTo != nil }
    private var isShown: Bool { !isWritten && !json && isatty(STDOUT_FILENO) == 1 }

    func validate() throws {
        guard isWritten || find != nil || !json else {
            throw ValidationError("With --json the key is not shown. Use --digits-to or --key-file-to.")
        }
    }

    func run() throws {
        guard isWritten || find != nil || isShown else {
            throw ValidationError("The key is shown at a terminal only. Use --digits-to or --key-file-to.")
        }
        try requireNewFiles()
        var typed =
            try file.map(SecretInput.read) ?? SecretInput.askDigits("WhatsApp's 64-digit key: ", insteadUse: "a file")
        let found = try find.map { try WhatsAppKey.find(wiping: &typed, for: $0) }
        let key = try found?.key ?? WhatsAppKey(wiping: &typed)
        if let digitsTo {
            var text = Array((Self.lines(key).joined(separator: "\n") + "\n").utf8)
            defer { for index in text.indices { text[index] = 0 } }
            try KeyPaper.write(text, toNew: digitsTo)
        }
        if let keyFileTo {
            try key.withKeyFile { file throws(CofferError) in try KeyPaper.write(file, toNew: keyFileTo) }
        }
        try report(found, key)
    }

    /// Both or none are written.
    private func requireNewFiles() throws {
        let files = [digitsTo, keyFileTo].compactMap { $0 }
        guard Set(files.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path }).count == files.count else {
            throw ValidationError("--digits-to and --key-file-to name the same file. Name two.")
        }
        for file in files { try KeyPaper.requireNew(file) }
    }

    private static func lines(_ key: WhatsAppKey) -> [String] {
        let groups = key.revealGroups()
        return stride(from: 0, to: groups.count, by: 4).map { groups[$0..<$0 + 4].joined(separator: " ") }
    }

    private func report(_ found: FoundKey?, _ key: WhatsAppKey) throws {
        if json {
            struct Report: Encodable {
                let found: Bool?
                let typo: FoundKey.Typo?
                let digitsFile: String?
                let keyFile: String?
            }
            return try Output.json(
                Report(found: found.map { _ in true }, typo: found?.typo, digitsFile: digitsTo, keyFile: keyFileTo))
        }
        if let found, let find { describe(found, find) }
        for file in [digitsTo, keyFileTo].compactMap({ $0 }) { Output.note("The key was written to \(file).") }
        // Of a key with an error in one group or two these are enough to correct what was written down.
        guard isShown, found == nil || found?.typo.map({ $0.groups.count > 2 }) == true else { return }
        for line in Self.lines(key) { Output.line("    \(line)") }
    }

    private func describe(_ found: FoundKey, _ backup: String) {
        guard let typo = found.typo else {
            return Output.line(
                "Nothing is mistyped: the key opens \(backup), and every byte of it is as it was sealed.")
        }
        Output.line(typo.words)
        if isShown, typo.groups.count <= 2 {
            let groups = found.key.revealGroups()
            for group in typo.groups { Output.line("Group \(group) is \(groups[group - 1]).") }
        }
        Output.line("So corrected, the key opens \(backup), and every byte of it is as it was sealed.")
        if !isShown, !isWritten {
            Output.note("The right digits are shown at a terminal only, or written with --digits-to.")
        }
    }
}
