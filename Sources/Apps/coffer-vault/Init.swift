import ArgumentParser
import ByteCoding
import Primitives
import RecoveryProtocol
import SecurityModules
import VaultCore

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a vault: its keys, its store and its identity.")

    @Argument(help: "The folder to make. It must not hold a vault.")
    var folder: String

    @Option(help: "What to call the vault, for people: letters, digits, points and dashes.")
    var name: String

    @Option(help: "Where clients will reach it. May be given up to four times.")
    var url: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the newest state is remembered, so that an older store is refused.",
            discussion: "By default the file `anchor` in the folder. Better on another disk, by its full path.",
            valueName: "path"))
    var anchorFile = "anchor"

    @Option(
        help: ArgumentHelp(
            "A witness that remembers the newest state instead, and its key. Four of them bear one that is bad.",
            discussion: "Give it once for each witness. `coffer-vault witness` runs one and prints its key.",
            valueName: "url=key"))
    var witness: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the newest state is remembered: file, witness, or pkcs11 for the token itself.",
            discussion: "Without it: witness if --witness is given, otherwise file."))
    var anchor: AnchorPlace?

    @OptionGroup(title: "A token for the vault's key")
    var tokenOptions: TokenOptions

    @OptionGroup(title: "How a token is used")
    var tokenTuning: TokenTuning

    enum AnchorPlace: String, ExpressibleByArgument, CaseIterable {
        case file, witness, pkcs11
    }

    @Option(help: "How many witnesses may be malicious or put back. There must be three times as many, and one more.")
    var faultyWitnesses: Int?

    func validate() throws {
        guard VaultPublicFile.isPlainName(name) else {
            throw ValidationError("--name has 1 to 64 letters, digits, points or dashes.")
        }
        guard url.count <= Limits.urlsPerVaultMax, url.allSatisfy(Fleet.isPlainURL) else {
            throw ValidationError("--url is given at most four times, and is http or https without spaces or quotes.")
        }
        guard anchor != .pkcs11 || tokenOptions.pkcs11 != nil else {
            throw ValidationError(
                "--anchor pkcs11 needs --pkcs11: the anchor is in the token that has the vault's key.")
        }
        guard anchor == nil || (anchor == .witness) == !witness.isEmpty else {
            throw ValidationError("--witness is given with --anchor witness, and with no other.")
        }
    }

    func run() throws {
        let folder = VaultFolder(path: folder)
        let settings = try anchorSettings()
        let token = try tokenOptions.pkcs11.map { _ in try ChosenToken(tokenOptions, tokenTuning) }
        let identity = try folder.create(name: name, anchor: settings, token: token)
        let file = VaultPublicFile(name: name, identity: identity, urls: url)
        // Last: a run that was cut before it is taken up again.
        try PublicFile.write(file.text, to: folder.publicKey)
        Output.line("Made the vault \"\(name)\" in \(folder.path).")
        Output.line("vault id  \(VaultID(identityKey: identity))")
        Output.line("identity  \(identity)")
        if !witness.isEmpty {
            Output.line(
                "Before it is used, each witness must watch it: `coffer-vault witness DIR --watch \(folder.publicKey)`."
            )
        }
        Output.line("For the fleet file: \(folder.publicKey)")
        if let token {
            Output.line(
                "\(token.token.name) has the vault's key, and does not let it out. Without the token, or its PIN, the vault's"
            )
            Output.line("records never open again: this vault then counts as lost, and the fleet goes on without it.")
        } else {
            Output.line(
                "Keep \(folder.wrappingKey) apart from copies of the store: with both, a thief has the records.")
        }
    }

    private func anchorSettings() throws -> AnchorSettings {
        if anchor == .pkcs11 { return .token }
        guard !witness.isEmpty else { return .file(anchorFile) }
        let witnesses = try witness.map { text in
            guard let equals = text.lastIndex(of: "="),
                let key = try? VerifyingKey(hex: text[text.index(after: equals)...])
            else { throw ValidationError("--witness needs url=key, as the witness printed it.") }
            return Witness(key: key, url: String(text[..<equals]))
        }
        let faultyMax = faultyWitnesses ?? (witnesses.count - 1) / 3
        guard let settings = WitnessSettings(witnesses: witnesses, faultyMax: faultyMax) else {
            throw ValidationError("There are 1 to 15 different witnesses, and for f that may be bad at least 3f + 1.")
        }
        return .witnesses(settings)
    }
}
