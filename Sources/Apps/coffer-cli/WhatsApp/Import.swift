import ArgumentParser
import Coffer
import Foundation

struct WhatsAppImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a Coffer backup of WhatsApp's own.",
        discussion: """
            Nothing is imported unless every file is proven by its key to the last byte. The messages become \
            Databases/msgstore.db of a new snapshot, and the next import stores what has changed since. With --fleet the new backup \
            is protected by a password, with --coffer-key by 64 digits of its own: WhatsApp's key does not open it. On a \
            device that has a Coffer backup already the snapshot goes into that.
            """)

    @Argument(
        help: ArgumentHelp("msgstore.db.crypt15, and increments and other files that go with it.", valueName: "file"))
    var files: [String]
    @Option(
        help: ArgumentHelp("A folder of media in the clear, which become Media in the snapshot.", valueName: "folder"))
    var media: String?
    @Option(help: ArgumentHelp("Where the encrypted backup goes, as for coffer enable.", valueName: "store")) var to:
        String?
    @OptionGroup var key: WhatsAppKeyOptions
    @Option(help: ArgumentHelp("Protect the new backup by a password in the fleet of this file.", valueName: "file"))
    var fleet: String?
    @Flag(help: "Protect the new backup by a 64-digit key of its own, which is shown.") var cofferKey = false
    @Option(help: ArgumentHelp("Write that key to this new file instead of showing it.", valueName: "file"))
    var cofferKeyFile: String?
    @OptionGroup var signIn: SignInOptions
    @Flag(help: "Go on from what the store shows, even if it lacks your last backup.") var acceptOlder = false
    @Flag(help: "Begin even if the store surely has too little room.") var ignoreRoom = false
    @OptionGroup var transfer: TransferOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard fleet == nil || !(cofferKey || cofferKeyFile != nil) else {
            throw ValidationError("Say --fleet or --coffer-key, not both.")
        }
        guard !(common.json && cofferKey && cofferKeyFile == nil) else {
            throw ValidationError("With --json the key is not shown. Use --coffer-key-file.")
        }
    }

    func run() async throws {
        let isNewProtected = fleet != nil || cofferKey || cofferKeyFile != nil
        let isEnabled = try common.device.takesImports(to: to, isNewProtected: isNewProtected)
        if !isEnabled { try requireProtection() }
        let key = try key.key()
        let proven = try common.device.prove(files, media: media, key: key, to: to)
        if !common.json { proven.backups.forEach(describe) }
        if !isEnabled, let to { try await enable(to) }
        let summary = try await ProgressDisplay.during(common) { progress in
            try await common.device(transfer).importWhatsApp(
                proven, acceptingOlder: acceptOlder, ignoringRoom: ignoreRoom, progress: progress)
        }
        if common.json { try Output.json(summary) } else { BackUp.describe(summary.backup) }
        if !common.json { summary.notes.forEach { Output.note(Output.printable($0)) } }
        await BackUp.describeVaults(common)
        if summary.backup.snapshot.skipped.contains(where: \.isLoss) {
            throw ExitCode(CofferError.Code.sourceIncomplete.exitStatus)
        }
        // As with open.
        guard !summary.files.contains(where: \.isAltered) else {
            throw ExitCode(CofferError.Code.okPayloadHeaderOrTrailerAltered.exitStatus)
        }
    }

    private func requireProtection() throws {
        guard to != nil else { throw ValidationError("Say where the backup goes: --to STORE.") }
        guard fleet != nil || cofferKey || cofferKeyFile != nil else {
            throw ValidationError("Say how the new backup is protected: --fleet FILE for a password, or --coffer-key.")
        }
        if fleet != nil { _ = try signIn.signIn() }
    }

    private func enable(_ store: String) async throws {
        let notes = try await common.device.enableImports(to: store, protection: try protection())
        guard !common.json else { return }
        notes.forEach { Output.line(Output.printable($0)) }
        let who = fleet == nil ? "Whoever has Coffer's 64-digit key" : "Whoever knows the password and signs in as you"
        Output.line("\(who) can read the backup in \(store), and nobody else.")
    }

    private func protection() throws -> Device.NewProtection {
        if let fleet {
            return .password(try signIn.newPassword(), fleetFile: fleet, signIn: try signIn.signIn())
        }
        let file = cofferKeyFile
        return .sixtyFourDigitKey { key throws(CofferError) in
            guard let file else { return try KeyPaper.show(key) }
            return try KeyPaper.write(key, to: file)
        }
    }

    private func describe(_ backup: ImportedBackup) {
        let size = Words.bytes(backup.bytes)
        Output.line(
            "\(Output.printable(name: backup.file)): proven, \(size); in the backup: \(Output.printable(name: backup.path))"
        )
        for note in backup.notes { Output.note("  \(note)") }
    }
}
