import ArgumentParser
import Coffer
import Foundation

struct Protections: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the ways to unlock the backup.",
        discussion: "coffer password adds, changes, moves or removes the password; coffer key rotate replaces the key.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let report = try await common.device.protections()
        if common.json { return try Output.json(report) }
        let saved = report.digitsSaved ? "saved when it was made" : "to write it down: coffer key show"
        Output.line("64-digit key: always opens the backup (\(saved))")
        if let fleet = report.fleet {
            Output.line("Password: with \(fleet.threshold) of \(fleet.vaults) vaults, fleet \(fleet.fingerprint)")
        } else {
            Output.line("Password: none (coffer password add)")
        }
        Output.line("This device: keeps the key in \(report.keyStorage)")
        report.pending.forEach(Output.line)
    }
}

struct PasswordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password", abstract: "Add, change, move or remove the backup's password.",
        discussion: "The key stays, and nothing is uploaded again.",
        subcommands: [PasswordAdd.self, PasswordChange.self, PasswordMove.self, PasswordRemove.self])
}

/// What all of them say in the end.
private func report(_ words: String, _ notes: [String], _ common: CommonOptions) throws {
    struct Report: Encodable { let notes: [String] }
    guard !common.json else { return try Output.json(Report(notes: notes)) }
    Output.line(words)
    notes.forEach { Output.line(Output.printable($0)) }
}

struct PasswordAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Protect a backup by a password, too, that had the 64-digit key alone.",
        discussion: "If it is cut short, run it again.")

    @Option(help: ArgumentHelp("The file of the fleet whose vaults are to keep the key.", valueName: "file"))
    var fleet: String
    @OptionGroup var signIn: SignInOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let tokens = try signIn.signIn()
        let notes = try await common.device.putPassword(
            try signIn.newPassword(), inFleetOf: fleet, signIn: tokens, moving: false)
        try report("The password opens the backup, too, from now on.", notes, common)
    }
}

struct PasswordChange: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change", abstract: "Choose another password.",
        discussion: "The old one is not needed: this device has the key. Attempts at the old one count no more.")

    @OptionGroup var signIn: SignInOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let notes = try await common.device.changePassword(
            try signIn.newPassword(), signIn: try signIn.givenSignIn())
        try report("The new password opens the backup.", notes, common)
    }
}

struct PasswordMove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Let the vaults of another fleet keep the key.",
        discussion: """
            They get it first; then the store names them, and the old vaults erase their shares. A newer file of the same \
            fleet is taken over in the same way. If it is cut short, run it again.
            """)

    @Option(help: ArgumentHelp("The file of the new fleet.", valueName: "file")) var fleet: String
    @OptionGroup var signIn: SignInOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let tokens = try signIn.signIn()
        let notes = try await common.device.putPassword(
            try signIn.newPassword(), inFleetOf: fleet, signIn: tokens, moving: true)
        try report("The new vaults keep the key.", notes, common)
    }
}

struct PasswordRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove the password: only the 64-digit key opens the backup then.",
        discussion:
            "The 64 digits are shown, and asked back; or with --key-file read from a file, or written to a new one.")

    @Option(help: ArgumentHelp("A file with the 64 digits, or a new one to write them to.", valueName: "file"))
    var keyFile: String?
    @Option(
        help: ArgumentHelp("A file with your sign-in, where this device has none or an older one.", valueName: "file"))
    var tokenFile: String?
    @Option(help: ArgumentHelp("A command that prints your sign-in.", valueName: "command")) var tokenCommand: String?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard tokenFile == nil || tokenCommand == nil else {
            throw ValidationError("Give --token-file or --token-command, not both.")
        }
        let signIn = tokenFile.map { .file(SignInOptions.absolutePath($0)) } ?? tokenCommand.map(SignIn.command)
        let keyFile = keyFile
        let (notes, areSharesErased) = try await common.device.removePassword(signIn: signIn) {
            key throws(CofferError) in
            guard let keyFile else { return try KeyPaper.show(key) }
            guard FileManager.default.fileExists(atPath: keyFile) else { return try KeyPaper.write(key, to: keyFile) }
            guard var text = try? SecretInput.read(file: keyFile) else { return false }
            return try SixtyFourDigitKey(wiping: &text).isEqual(to: key)
        }
        try report(
            areSharesErased
                ? "The password opens nothing any more. Only the 64-digit key opens the backup."
                : "The backup names no vaults any more, but they still have shares of the key.", notes, common)
    }
}

struct KeyRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Replace the key by a new one.",
        discussion: """
            It protects what is backed up from then on. Whoever copied the store and has the old key can read what was there. \
            Nothing is uploaded again; other devices join anew. If it is cut short, run it again: until it is done, \
            both keys open the backup.
            """)

    @Option(help: ArgumentHelp("Write the new key to this new file instead of showing it.", valueName: "file"))
    var keyFile: String?
    @Flag(
        help: "Another device began it and is lost: end its new key, which opens nothing from then on, and begin anew.")
    var takeOver = false
    @OptionGroup var signIn: SignInOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let needs = try common.device.newKeyNeeds()
        guard !(common.json && needs.digits && keyFile == nil) else {
            throw ValidationError("With --json the key is not shown. Use --key-file.")
        }
        let password = needs.password ? try signIn.newPassword() : nil
        let keyFile = keyFile
        let notes = try await common.device.replaceKey(
            password: password, signIn: try signIn.givenSignIn(), takingOver: takeOver
        ) { key throws(CofferError) in
            guard let keyFile else { return try KeyPaper.show(key) }
            return try KeyPaper.write(key, to: keyFile)
        }
        guard try !common.device.newKeyNeeds().isBegun else {
            return try report("Not done yet: the new key opens the backup, and so does the old one.", notes, common)
        }
        try report(
            "The backup has a new key. It protects what is backed up from now on; whoever copied the backup before and has "
                + "the old key can still read that copy. Other devices say so, and join again.", notes, common)
    }
}

struct Move: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move the backup to another place.",
        discussion: """
            Everything is copied, and this device goes on there. The old place is left as it is, and named. Other devices \
            go on with the old place until they join the new one. If it is cut short, run it again: it goes on.
            """)

    @Option(help: ArgumentHelp("Where the backup goes, as for coffer enable.", valueName: "store")) var to: String
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let summary = try await common.device.move(to: to)
        if common.json { return try Output.json(summary) }
        let before = summary.alreadyThere > 0 ? ", \(summary.alreadyThere) were there" : ""
        Output.line(
            "\(Words.count(summary.objects, "object")) copied (\(Words.bytes(summary.bytes)))\(before). "
                + "Backups go to \(summary.to) from now on.")
        guard summary.objects > 0 else {
            return Output.line(
                "Nothing had to be copied. The old place is as it was: \(summary.from). Before you delete it make sure that "
                    + "it is not the same place under another name, for example another mount of it.")
        }
        Output.line("The old place is as it was: \(summary.from). When you need it no more, delete it.")
    }
}
