import ArgumentParser
import Coffer
import Foundation

/// Options of every command.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print one JSON object on standard output, errors too.")
    var json = false

    @Option(help: ArgumentHelp("Where this device keeps its key and settings.", valueName: "folder"))
    var state: String?

    var device: Device { Device(stateFolder: state) }

    func device(_ transfer: TransferOptions) -> Device { Device(stateFolder: state, limit: transfer.limit?.limit) }
}

/// Options of commands that move much.
struct TransferOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write to the store and read from it no faster than this, in bytes per second: 2M for both, 500K:4M for up and down, off.",
            valueName: "rate"))
    var limit: Rate?
}

/// `2M`, `500K:4M`, `off`.
struct Rate: ExpressibleByArgument {
    let limit: TransferLimit

    init?(argument: String) {
        guard let limit = TransferLimit(argument) else { return nil }
        self.limit = limit
    }
}

/// How a person signs in at the vaults.
struct SignInOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A file with your sign-in: a JSON object from vault id to token.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("A command that prints your sign-in.", valueName: "command"))
    var tokenCommand: String?

    @Option(help: ArgumentHelp("A file that holds the password. Without it you are asked.", valueName: "file"))
    var passwordFile: String?

    /// - Parameter orKey: whether the 64-digit key would do instead.
    func signIn(orKey: Bool = false) throws -> SignIn {
        switch (tokenFile, tokenCommand) {
        case (let file?, nil): return .file(Self.absolutePath(file))
        case (nil, let command?): return .command(command)
        case (nil, nil):
            let instead = orKey ? ", or --key, if you have the 64-digit key" : ""
            throw ValidationError("The vaults need your sign-in: --token-file or --token-command\(instead).")
        default: throw ValidationError("Give --token-file or --token-command, not both.")
        }
    }

    /// For a device that has a sign-in already.
    func givenSignIn() throws -> SignIn? { tokenFile == nil && tokenCommand == nil ? nil : try signIn() }

    /// The password of a backup that there is already.
    func password() throws -> Password {
        var text =
            try passwordFile.map(SecretInput.read) ?? SecretInput.ask("Password: ", insteadUse: "--password-file")
        return try Password(wiping: &text)
    }

    /// A new password, asked twice.
    func newPassword() throws -> Password {
        guard passwordFile == nil else { return try password() }
        let first = try password()
        var again = try SecretInput.ask("The same again: ", insteadUse: "--password-file")
        guard first.isEqual(to: try Password(wiping: &again)) else {
            throw CofferError(
                .notConfirmed, "The two passwords differ. Nothing was changed.", advice: "Run the command again.")
        }
        return first
    }

    static func absolutePath(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}

/// How to get at the key of a store that this device does not know.
struct UnlockOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The store to read, on a device that has no backup of its own. Without it: this device's store.",
            valueName: "store"))
    var from: String?

    @Flag(help: "Unlock with the 64-digit key, even if the store names vaults.") var key = false

    @Option(
        help: ArgumentHelp("A file that holds the 64-digit key. Without it you are asked.", valueName: "file"))
    var keyFile: String?

    @OptionGroup var signIn: SignInOptions

    func validate() throws {
        let given = [keyFile, signIn.tokenFile, signIn.tokenCommand, signIn.passwordFile].contains { $0 != nil }
        guard from != nil || !(key || given) else {
            throw ValidationError(
                "--key, --key-file, --token-file, --token-command and --password-file go with --from STORE: this "
                    + "device's own store is opened with the key that the device keeps.")
        }
    }

    /// Opens the named store with the key or the password, or this device's own.
    func open(_ common: CommonOptions, _ transfer: TransferOptions? = nil) async throws -> OpenedBackup {
        guard let from else { return try await Device(stateFolder: common.state, limit: transfer?.limit?.limit).open() }
        let store = try await ClaimedStore.at(from, limit: transfer?.limit?.limit, stateFolder: common.state)
        guard !key, keyFile == nil, let fleet = try store.fleet else {
            return try await store.open(
                with: try SecretInput.sixtyFourDigitKey(file: keyFile),
                signIn: signIn.tokenFile ?? signIn.tokenCommand == nil ? nil : try signIn.signIn())
        }
        let signIn = try signIn.signIn(orKey: true)
        if !common.json {
            Output.note("The key lies with a fleet of \(fleet.vaults) vaults, of which \(fleet.threshold) are needed.")
            Output.note("Its fingerprint: \(fleet.fingerprint)")
        }
        if self.signIn.passwordFile == nil, let left = try await store.attemptsLeft(signIn: signIn) {
            Output.note("\(Words.count(left, "attempt")) left before the key is destroyed.")
        }
        let canAsk = !common.json && isatty(STDIN_FILENO) == 1
        let (backup, notes) = try await store.open(with: try self.signIn.password(), signIn: signIn) { error in
            guard canAsk else { return false }
            Output.report(error)
            let answer = try? SecretInput.askVisibly(
                "Press Enter to ask the vaults again: it is the same attempt. Or type no: ", insteadUse: "--json")
            return answer?.isEmpty == true
        }
        if !common.json { notes.forEach { Output.note(Output.printable($0)) } }
        return backup
    }
}
