import ByteCoding
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import VaultCore
import VaultServer

/// The folder of one vault, and what lies where in it.
struct VaultFolder {
    let path: String

    func file(_ name: String) -> String { URL(filePath: path).appending(path: name).path }
    var wrappingKey: String { file("security-module.key") }
    var wrappedDataKey: String { file("data-key.wrapped") }
    var store: String { file("vault.sqlite") }
    var publicKey: String { file("vault.pub") }
    /// Where a serving vault listens.
    var address: String { file("address") }

    /// Opens the vault's records. What store and anchor do is counted in `metrics`.
    func open(counting metrics: VaultMetrics = VaultMetrics()) throws(CommandFailure) -> SealedRecords {
        try openParts(counting: metrics).records
    }

    struct Parts {
        let keys: VaultKeys
        let anchorSettings: AnchorSettings
        let records: SealedRecords
    }

    func openParts(counting metrics: VaultMetrics = VaultMetrics()) throws(CommandFailure) -> Parts {
        guard FileManager.default.fileExists(atPath: store) else {
            throw CommandFailure(.notSetUp, "There is no vault in \(path). Make one with `coffer-vault init`.")
        }
        let keys = try openKeys()
        let opened: SQLiteRecordStore
        do throws(RecordStoreError) { opened = try SQLiteRecordStore(path: store, creating: false) } catch {
            throw CommandFailure(LedgerError(error))
        }
        let anchoring: SealedRecords.Anchoring
        do throws(LedgerError) { anchoring = try SealedRecords.anchoring(of: opened, dataKey: keys.dataKey) } catch {
            throw CommandFailure(error)
        }
        if keys.token != nil { deleteMovedKeyFile() }
        return Parts(
            keys: keys, anchorSettings: anchoring.settings,
            records: SealedRecords(
                store: MeasuredStore(opened, metrics), dataKey: keys.dataKey,
                anchor: MeasuredAnchor(try anchor(anchoring, keys, metrics), metrics)))
    }

    private func anchor(
        _ anchoring: SealedRecords.Anchoring, _ keys: VaultKeys, _ metrics: VaultMetrics
    ) throws(CommandFailure) -> any Anchor {
        switch anchoring.settings {
        case .token:
            guard let token = keys.token else {
                throw CommandFailure(
                    .badFile,
                    "This vault's anchor is in a token, and \(tokenSettings) is gone. Take it from a copy of the folder."
                )
            }
            return tokenAnchor(token)
        case .file(let path): return FileAnchor(path: anchorPath(path))
        case .witnesses(let settings):
            return WitnessAnchor(
                settings: settings, identity: anchoring.identity, transport: HTTPWitnessTransport(), metrics: metrics)
        }
    }

    /// A relative path is seen from the folder, so that a folder can be moved.
    func anchorPath(_ path: String) -> String { path.hasPrefix("/") ? path : file(path) }

    /// Makes a vault where there is none, and returns its identity. `vault.pub`, which comes last, says that a vault is whole.
    func create(
        name: String, anchor settings: AnchorSettings, token: ChosenToken? = nil
    ) throws(CommandFailure) -> VerifyingKey {
        try checkEmpty(settings)
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw CommandFailure(.cannotCreate, "The folder \(path) cannot be made.") }
        do throws(CommandFailure) {
            let keys = try makeKeys(in: token, name: name)
            return try create(name: name, anchor: settings, keys: keys)
        } catch {
            guard let token else { throw error }
            throw takeBack(token, anchor: settings, after: error)
        }
    }

    private func create(
        name: String, anchor settings: AnchorSettings, keys: VaultKeys
    ) throws(CommandFailure) -> VerifyingKey {
        var generator = SystemRandomNumberGenerator()
        let anchor = try newAnchor(settings, keys)
        let records: SealedRecords
        do throws(RecordStoreError) {
            records = SealedRecords(
                store: try SQLiteRecordStore(path: store, creating: true), dataKey: keys.dataKey, anchor: anchor)
        } catch { throw CommandFailure(LedgerError(error)) }
        do throws(LedgerError) {
            return try VaultAdministration(records: records).create(name: name, anchor: settings, using: &generator)
        } catch { throw CommandFailure(error) }
    }

    private func checkEmpty(_ anchor: AnchorSettings) throws(CommandFailure) {
        let files = FileManager.default
        if [wrappingKey, wrappedDataKey, tokenSettings, store].allSatisfy({ !files.fileExists(atPath: $0) }) {
            guard case .file(let path) = anchor, files.fileExists(atPath: anchorPath(path)) else { return }
            throw CommandFailure(
                .cannotCreate,
                "The anchor \(anchorPath(path)) exists already, and another vault may depend on it. Nothing was changed."
            )
        }
        guard files.fileExists(atPath: publicKey) else {
            throw CommandFailure(
                .cannotCreate,
                "\(path) holds what is left of an `init` that was cut. Without \(publicKey) no fleet knows it, so nothing "
                    + "depends on it: delete the folder, and run `init` again.")
        }
        throw CommandFailure(.cannotCreate, "There is a vault in \(path) already. Nothing was changed.")
    }

    private func newAnchor(_ settings: AnchorSettings, _ keys: VaultKeys) throws(CommandFailure) -> any Anchor {
        switch settings {
        case .witnesses: return FirstBatchAnchor()
        case .file(let path):
            do { return try FileAnchor.create(path: anchorPath(path)) } catch {
                throw CommandFailure(.cannotCreate, "The anchor \(anchorPath(path)) cannot be made: \(error)")
            }
        case .token:
            guard let token = keys.token else {
                throw CommandFailure(.notSetUp, "An anchor in a token needs a token: --pkcs11.")
            }
            let anchor = tokenAnchor(token)
            do throws(AnchorError) { try anchor.create() } catch { throw CommandFailure(LedgerError(error)) }
            return anchor
        }
    }
}

extension CommandFailure {
    init(_ error: SecurityModuleError) {
        switch error {
        case .unavailable(let text): self.init(.notPrivate, text)
        case .unreachable(let text): self.init(.unavailable, text)
        case .unfit(let text): self.init(.notSetUp, text)
        case .refused:
            self.init(.badFile, "The wrapped data key was not made by this vault's security module, or was altered.")
        }
    }

    private static let withoutAnchor =
        "Without it nobody can tell whether the store is the newest: nothing was answered, and nothing in the store was "
        + "changed."

    init(_ error: LedgerError) {
        switch error {
        case .conflict: self.init(.unavailable, "Another process keeps writing to the store. Try again.")
        case .unavailable(let text):
            self.init(.unavailable, "The store cannot be used now: \(text.sentence) Nothing was answered.")
        case .unknownOutcome(let text):
            self.init(
                .unavailable,
                "Whether it was done is not known: \(text.sentence) Look when that answers again, and run the same command "
                    + "once more if it was not.")
        case .anchorUnavailable(let text):
            self.init(
                .unavailable,
                "The anchor does not answer: \(text.sentence) \(Self.withoutAnchor) Bring it back (mount its disk, plug in "
                    + "its token, start the witnesses) and run the same command again; a vault that serves goes on by "
                    + "itself. If it is lost for good: Docs/Operating.md, A lost anchor.")
        case .anchorDamaged(let text):
            self.init(
                .badFile,
                "The anchor does not read: \(text.sentence) \(Self.withoutAnchor) If it was moved or altered, put it "
                    + "back. If it is lost for good: Docs/Operating.md, A lost anchor.")
        case .damaged(let text):
            self.init(.badFile, "The store is damaged or not this vault's: \(text). The vault serves nothing from it.")
        case .rolledBack(let rollback):
            self.init(
                .rolledBack,
                "The vault refuses to serve: \(rollback). Nothing was changed. An old store would bring back attempts "
                    + "that were used up and shares that were destroyed. Put the newest store back; if it is lost, "
                    + "`coffer-vault restore` takes this one with every account frozen.")
        }
    }

    init(_ error: VaultStartError) {
        switch error {
        case .noFleet:
            self.init(.notSetUp, "This vault belongs to no fleet yet: `coffer-vault fleet set DIR fleet.toml`.")
        case .notInFleet(let id):
            self.init(.notSetUp, "The fleet file does not list this vault (\(id)). Set the one that does.")
        case .ledger(let error): self.init(error)
        }
    }
}

extension String {
    /// With one full stop at its end.
    fileprivate var sentence: String { hasSuffix(".") ? self : "\(self)." }
}

/// The file that a vault gives to whoever makes the fleet file: its name and identity key, and perhaps its URLs.
struct VaultPublicFile {
    let name: String
    let identity: VerifyingKey
    let urls: [String]

    var text: String {
        let lines = ["# The public part of the Coffer vault \"\(name)\".", "name \(name)", "identity \(identity.hex)"]
        return (lines + urls.map { "url \($0)" }).map { "\($0)\n" }.joined()
    }

    /// What may stand in a public file: it is shown on other people's terminals.
    static func isPlainName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || byte == 0x2d || byte == 0x2e
            }
    }

    init(name: String, identity: VerifyingKey, urls: [String]) {
        self.name = name
        self.identity = identity
        self.urls = urls
    }

    init(path: String) throws(CommandFailure) {
        var name: String?
        var identity: VerifyingKey?
        var urls: [String] = []
        for line in try PublicFile.text(path).split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            switch (words.first, words.last) {
            case ("name", let value?): name = value
            case ("identity", let value?): identity = try? VerifyingKey(hex: value)
            case ("url", let value?): urls.append(value)
            default: throw CommandFailure(.badFile, "\(path) is not a vault's public file.")
            }
        }
        guard let name, let identity, Self.isPlainName(name), urls.allSatisfy(Fleet.isPlainURL) else {
            throw CommandFailure(.badFile, "\(path) is not a vault's public file.")
        }
        self.init(name: name, identity: identity, urls: urls)
    }
}
