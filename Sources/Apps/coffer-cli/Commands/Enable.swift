import ArgumentParser
import Coffer
import Foundation

struct Enable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn backup of a folder on.",
        discussion: """
            With --fleet the backup is protected by a password: the key is kept by the fleet's vaults, which allow a few \
            guesses and then destroy it. With --key a 64-digit key is made and shown; write it down, and type a part \
            of it back. With --key-file it is written to a new file instead, for you to put in a safe place.
            """)

    @Argument(help: "The folder to back up, or whatsapp:FOLDER for WhatsApp's folder on a phone or a copy of it.")
    var folder: String
    @Option(
        help: ArgumentHelp(
            "Where the encrypted backup goes: a folder, s3:https://HOST/BUCKET/PREFIX, webdav:https://HOST/PATH, gdrive:FOLDER, icloud:CONTAINER/ZONE, or rclone:REMOTE:PATH.",
            valueName: "store")) var to: String
    @Option(help: ArgumentHelp("Protect the backup by a password in the fleet of this file.", valueName: "file"))
    var fleet: String?
    @Flag(
        help: ArgumentHelp(
            "The vaults hold a key of yours that no device has any more: put the new one in its place.",
            discussion: "It takes some days, in which a device that has the old key is told and can object."))
    var replaceLostKey = false
    @Flag(help: "Protect the backup by a 64-digit key that you write down.") var key = false
    @Option(help: ArgumentHelp("Write the 64-digit key to this new file instead of showing it.", valueName: "file"))
    var keyFile: String?
    @Flag(
        help: ArgumentHelp(
            "Go on with the backup that is in the store already, unlocked with its password (--token-file or "
                + "--token-command) or its 64-digit key (--key or --key-file)."))
    var join = false
    @OptionGroup var signIn: SignInOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !join else {
            guard fleet == nil else { throw ValidationError("With --join the store names the fleet.") }
            return
        }
        guard (fleet != nil) != (key || keyFile != nil) else {
            throw ValidationError("Say how the backup is protected: --fleet FILE for a password, or --key.")
        }
        guard !(common.json && key && keyFile == nil) else {
            throw ValidationError("With --json the key is not shown. Use --key-file.")
        }
    }

    func run() async throws {
        let notes =
            join
            ? try await common.device.join(source: folder, store: to, unlock: try unlock())
            : try await common.device.enable(source: folder, store: to, protection: try protection())
        if common.json {
            struct Report: Encodable {
                let store: String
                let protections: [Protection]
                let leftOut: [String]
                let notes: [String]
            }
            let enabled = try common.device.enabledBackup()
            return try Output.json(
                Report(
                    store: enabled.store, protections: enabled.protections, leftOut: enabled.leftOut, notes: notes))
        }
        if join {
            Output.line("Backup of \(folder) goes on in \(to), from this device too.")
        } else {
            let who = fleet == nil ? "Whoever has the 64-digit key" : "Whoever knows the password and signs in as you"
            Output.line("Backup of \(folder) to \(to) is on. \(who) can read it, and nobody else.")
        }
        notes.forEach { Output.line(Output.printable($0)) }
        let leftOut = try common.device.enabledBackup().leftOut
        if !leftOut.isEmpty {
            Output.line("Left out: \(Words.list(leftOut)). coffer include shows what that is, and changes it.")
        }
        Output.line("Next: coffer backup")
    }

    private func unlock() throws -> Device.Unlock {
        guard key || keyFile != nil else {
            return .password(try signIn.password(), signIn: try signIn.signIn(orKey: true))
        }
        return .sixtyFourDigitKey(try SecretInput.sixtyFourDigitKey(file: keyFile))
    }

    private func protection() throws -> Device.NewProtection {
        if let fleet {
            let signIn = try signIn.signIn()
            return .password(
                try self.signIn.newPassword(), fleetFile: fleet, signIn: signIn,
                replacingLostKey: replaceLostKey)
        }
        let keyFile = keyFile
        return .sixtyFourDigitKey { key throws(CofferError) in
            guard let keyFile else { return try KeyPaper.show(key) }
            return try KeyPaper.write(key, to: keyFile)
        }
    }
}

/// The 64-digit key as a person takes it down.
enum KeyPaper {
    /// Writes the key to a new file that only its owner may read, whole or not at all.
    static func write(_ key: SixtyFourDigitKey, to path: String) throws(CofferError) -> Bool {
        try write(Array((lines(key).joined(separator: "\n") + "\n").utf8), toNew: path)
        return true
    }

    /// Whether a file could be written that is not there yet, before anything is.
    static func requireNew(_ path: String) throws(CofferError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        throw CofferError(
            .notConfirmed, "\(path) is there already, and is not overwritten.",
            advice: "Name a file that is not there yet.")
    }

    /// Writes a secret to a new file that only its owner may read, whole or not at all.
    static func write(_ secret: some ContiguousBytes, toNew path: String) throws(CofferError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw CofferError(
                .notConfirmed,
                errno == EEXIST
                    ? "\(path) is there already, and is not overwritten."
                    : "\(path) cannot be made: \(String(cString: strerror(errno))).",
                advice: "Name a file that is not there yet.")
        }
        defer { close(file) }
        let isWritten = secret.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) == $0.count }
        guard isWritten, fsync(file) == 0 else {
            unlink(path)
            throw CofferError(
                .notConfirmed, "\(path) cannot be written: \(String(cString: strerror(errno))).",
                advice: "Name a file where there is room.")
        }
    }

    /// Shows the key at the terminal, whatever standard output is, and asks for two of its groups.
    static func show(_ key: SixtyFourDigitKey) throws(CofferError) -> Bool {
        let groups = key.revealGroups()
        let shown = lines(key).map { "    \($0)\n" }.joined()
        var introduction =
            "Your 64-digit key. Write it down now; later only a device that has it shows it again (coffer key show). "
            + "The last two groups check the others:\n\n\(shown)\n"
        for _ in 0..<3 {
            let asked = Array(Array(1...groups.count).shuffled().prefix(2)).sorted()
            let prompt = "To show that you have it, type groups \(asked[0]) and \(asked[1]): "
            guard let typed = try? SecretInput.askVisibly(introduction + prompt, insteadUse: "--key-file") else {
                throw CofferError(
                    .notConfirmed, "There is no terminal to show the key at. Nothing was changed.",
                    advice: "Use --key-file FILE.")
            }
            let digits = typed.lowercased().filter { !$0.isWhitespace && $0 != "-" }
            if digits == groups[asked[0] - 1] + groups[asked[1] - 1] { return true }
            introduction = "That is not what the key says.\n"
        }
        return false
    }

    static func lines(_ key: SixtyFourDigitKey) -> [String] {
        let groups = key.revealGroups()
        return stride(from: 0, to: groups.count, by: 4).map {
            groups[$0..<min($0 + 4, groups.count)].joined(separator: " ")
        }
    }
}

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "The 64-digit key.", subcommands: [KeyShow.self, KeyRotate.self])
}

struct KeyShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the 64-digit key of this device's backup.",
        discussion: "Whoever sees it can read the backup. It is shown at a terminal, or written with --key-file.")

    @Option(help: ArgumentHelp("Write the key to this new file instead of showing it.", valueName: "file"))
    var keyFile: String?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let key = try common.device.sixtyFourDigitKey()
        if let keyFile {
            _ = try KeyPaper.write(key, to: keyFile)
            Output.note("The key was written to \(keyFile).")
            return
        }
        guard isatty(STDOUT_FILENO) == 1 else {
            throw ValidationError("The key is shown at a terminal only. Use --key-file.")
        }
        for line in KeyPaper.lines(key) { Output.line("    \(line)") }
    }
}
