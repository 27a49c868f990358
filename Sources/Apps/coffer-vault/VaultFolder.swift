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

    private func file(_ name: String) -> String { URL(filePath: path).appending(path: name).path }
    var wrappingKey: String { file("security-module.key") }
    var wrappedDataKey: String { file("data-key.wrapped") }
    var store: String { file("vault.sqlite") }
    var publicKey: String { file("vault.pub") }
    /// Where a serving vault listens.
    var address: String { file("address") }

    /// Opens the vault's records. What store and anchor do is counted in `metrics`.
    func open(counting metrics: VaultMetrics = VaultMetrics()) throws(CommandFailure) -> SealedRecords {
        guard FileManager.default.fileExists(atPath: store) else {
            throw CommandFailure(.notSetUp, "There is no vault in \(path). Make one with `coffer-vault init`.")
        }
        let dataKey: SecretBytes
        do throws(SecurityModuleError) {
            let wrapped = try wrappedKey()
            dataKey = try SoftwareSecurityModule(path: wrappingKey).unwrap(wrapped)
        } catch { throw CommandFailure(error) }
        let opened: SQLiteRecordStore
        do throws(RecordStoreError) { opened = try SQLiteRecordStore(path: store, creating: false) } catch {
            throw CommandFailure(LedgerError(error))
        }
        let anchoring: SealedRecords.Anchoring
        do throws(LedgerError) { anchoring = try SealedRecords.anchoring(of: opened, dataKey: dataKey) } catch {
            throw CommandFailure(error)
        }
        return SealedRecords(
            store: MeasuredStore(opened, metrics), dataKey: dataKey,
            anchor: MeasuredAnchor(anchor(anchoring, metrics), metrics))
    }

    private func anchor(_ anchoring: SealedRecords.Anchoring, _ metrics: VaultMetrics) -> any Anchor {
        switch anchoring.settings {
        case .file(let path): FileAnchor(path: anchorPath(path))
        case .witnesses(let settings):
            WitnessAnchor(
                settings: settings, identity: anchoring.identity, transport: HTTPWitnessTransport(), metrics: metrics)
        }
    }

    /// A relative path is seen from the folder, so that a folder can be moved.
    private func anchorPath(_ path: String) -> String { path.hasPrefix("/") ? path : file(path) }

    private func wrappedKey() throws(SecurityModuleError) -> [UInt8] {
        do { return try PrivateFile.read(wrappedDataKey, bytesMax: 4096) } catch {
            throw .unavailable("\(wrappedDataKey) cannot be read, or others can read it too")
        }
    }

    /// Makes a vault where there is none, and returns its identity. `vault.pub`, which comes last, says that a vault is whole.
    func create(name: String, anchor settings: AnchorSettings) throws(CommandFailure) -> VerifyingKey {
        let files = FileManager.default
        guard [wrappingKey, wrappedDataKey, store].allSatisfy({ !files.fileExists(atPath: $0) }) else {
            guard files.fileExists(atPath: publicKey) else {
                throw CommandFailure(
                    .cannotCreate,
                    "\(path) holds what is left of an `init` that was cut. Without \(publicKey) no fleet knows it, so nothing "
                        + "depends on it: delete the folder, and run `init` again.")
            }
            throw CommandFailure(.cannotCreate, "There is a vault in \(path) already. Nothing was changed.")
        }
        do {
            try files.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch { throw CommandFailure(.cannotCreate, "The folder \(path) cannot be made.") }
        var generator = SystemRandomNumberGenerator()
        let dataKey = SecretBytes.random(RecordSealer.dataKeyBytes, using: &generator)
        do throws(SecurityModuleError) {
            let module = try SoftwareSecurityModule.create(path: wrappingKey, using: &generator)
            let wrapped = try module.wrap(
                dataKey, nonce: generator.bytes(XChaCha20Poly1305.nonceBytes))
            try keep(wrapped)
        } catch { throw CommandFailure(error) }
        let anchor = try newAnchor(settings)
        let records: SealedRecords
        do throws(RecordStoreError) {
            records = SealedRecords(
                store: try SQLiteRecordStore(path: store, creating: true), dataKey: dataKey, anchor: anchor)
        } catch { throw CommandFailure(LedgerError(error)) }
        do throws(LedgerError) {
            return try VaultAdministration(records: records).create(name: name, anchor: settings, using: &generator)
        } catch { throw CommandFailure(error) }
    }

    private func newAnchor(_ settings: AnchorSettings) throws(CommandFailure) -> any Anchor {
        switch settings {
        case .witnesses: return FirstBatchAnchor()
        case .file(let path):
            do { return try FileAnchor.create(path: anchorPath(path)) } catch {
                throw CommandFailure(.cannotCreate, "The anchor \(anchorPath(path)) cannot be made: \(error)")
            }
        }
    }

    private func keep(_ wrapped: [UInt8]) throws(SecurityModuleError) {
        let outcome = wrapped.withUnsafeBytes { bytes in
            Result { () throws(PrivateFile.Failure) in try PrivateFile.create(wrappedDataKey, bytes) }
        }
        if case .failure = outcome { throw .unavailable("\(wrappedDataKey) cannot be made") }
    }
}

extension CommandFailure {
    init(_ error: SecurityModuleError) {
        switch error {
        case .unavailable(let text): self.init(.notPrivate, text)
        case .refused:
            self.init(.badFile, "The wrapped data key was not made by this vault's security module, or was altered.")
        }
    }

    init(_ error: LedgerError) {
        switch error {
        case .conflict: self.init(.unavailable, "Another process keeps writing to the store. Try again.")
        case .unavailable(let text), .unknownOutcome(let text):
            self.init(.unavailable, "The store cannot be used now: \(text). Nothing was answered.")
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
