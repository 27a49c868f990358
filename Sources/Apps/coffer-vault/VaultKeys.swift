import Foundation
import Primitives
import SecurityModules
import VaultCore
import VaultServer

/// What opens a vault's records: the data key, and the token that it was in, if it was.
struct VaultKeys {
    let dataKey: SecretBytes
    let token: OpenToken?

    struct OpenToken {
        let token: Token
        let settings: TokenSettings
    }
}

extension VaultFolder {
    var tokenSettings: String { file("security-module.token") }
    private var pinRefused: String { file("pin-refused") }

    private static let wrappedBytesMax = 4096

    /// Asks the security module for the data key. Where a move to a token was cut, the token counts.
    func openKeys() throws(CommandFailure) -> VaultKeys {
        do throws(SecurityModuleError) {
            guard let open = try openToken() else {
                let wrapped = try privateFile(wrappedDataKey, bytesMax: Self.wrappedBytesMax)
                return VaultKeys(dataKey: try SoftwareSecurityModule(path: wrappingKey).unwrap(wrapped), token: nil)
            }
            let module = TokenSecurityModule(open.token, id: open.settings.id)
            return VaultKeys(dataKey: try module.unwrap(open.settings.wrapped), token: open)
        } catch { throw CommandFailure(error) }
    }

    /// Deletes the key file that a move to a token left when it was cut after the new settings were kept. Only once the
    /// token's data key has opened the store: until then the file may be what opens it.
    func deleteMovedKeyFile() {
        for path in [wrappingKey, wrappedDataKey] where FileManager.default.fileExists(atPath: path) {
            Output.error(
                unlink(path) == 0
                    ? "coffer-vault: \(path), which a move to the token left, is deleted. Destroy its copies."
                    : "coffer-vault: \(path) is still there. Delete it: it opens the records.")
        }
    }

    /// What the folder says of the vault's token; nil if it has none.
    func readTokenSettings() throws(SecurityModuleError) -> TokenSettings? {
        guard FileManager.default.fileExists(atPath: tokenSettings) else { return nil }
        let bytes = try privateFile(tokenSettings, bytesMax: TokenSettings.bytesMax)
        guard let text = String(validating: bytes, as: UTF8.self), let settings = TokenSettings(text: text) else {
            throw .unavailable(
                "\(tokenSettings) is not what `coffer-vault init` wrote; take it from a copy of the folder.")
        }
        return settings
    }

    private func openToken() throws(SecurityModuleError) -> VaultKeys.OpenToken? {
        guard let settings = try readTokenSettings() else { return nil }
        let refusals = PINRefusals(path: pinRefused)
        let pin = try settings.pin.read()
        try refusals.check(pin)
        let library: PKCS11Library
        do throws(TokenError) { library = try PKCS11Library.open(path: settings.module) } catch {
            throw SecurityModuleError(error)
        }
        return VaultKeys.OpenToken(
            token: Token(settings.name, library: library, pin: pin, refusals: refusals), settings: settings)
    }

    func tokenAnchor(_ open: VaultKeys.OpenToken) -> TokenAnchor {
        TokenAnchor(open.token, settings: open.settings, lockPath: file("anchor.lock"))
    }

    private func privateFile(_ path: String, bytesMax: Int) throws(SecurityModuleError) -> [UInt8] {
        do { return try PrivateFile.read(path, bytesMax: bytesMax) } catch {
            throw .unavailable("\(path) cannot be read, or others can read it too")
        }
    }

    // MARK: Making

    /// Makes the security module's key, and a data key under it.
    func makeKeys(in chosen: ChosenToken?, name: String) throws(CommandFailure) -> VaultKeys {
        var generator = SystemRandomNumberGenerator()
        let dataKey = SecretBytes.random(RecordSealer.dataKeyBytes, using: &generator)
        do throws(SecurityModuleError) {
            guard let chosen else {
                let module = try SoftwareSecurityModule.create(path: wrappingKey, using: &generator)
                try keep(try module.wrap(dataKey, using: &generator), in: wrappedDataKey)
                return VaultKeys(dataKey: dataKey, token: nil)
            }
            let settings = try wrap(dataKey, in: chosen, label: name)
            try keep(Array(settings.text.utf8), in: tokenSettings)
            return VaultKeys(
                dataKey: dataKey, token: VaultKeys.OpenToken(token: chosen.token, settings: settings))
        } catch { throw CommandFailure(error) }
    }

    /// Makes a wrapping key in the token, and what the settings say once the data key is under it.
    func wrap(
        _ dataKey: SecretBytes, in chosen: ChosenToken, label: String
    ) throws(SecurityModuleError) -> TokenSettings {
        var generator = SystemRandomNumberGenerator()
        var settings = chosen.settings
        let module = try TokenSecurityModule.create(in: chosen.token, id: settings.id, label: label)
        settings.wrapped = try module.wrap(dataKey, using: &generator)
        return settings
    }

    private func keep(_ bytes: [UInt8], in path: String) throws(SecurityModuleError) {
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(PrivateFile.Failure) in try PrivateFile.create(path, bytes) }
        }
        if case .failure = outcome { throw .unavailable("\(path) cannot be made") }
    }

    /// Takes back a vault that was not made whole, so that no key without a vault stays in the token.
    func takeBack(_ chosen: ChosenToken, anchor: AnchorSettings, after failure: CommandFailure) -> CommandFailure {
        // None of them was there before.
        for path in [tokenSettings, store, store + "-wal", store + "-shm"] { unlink(path) }
        if case .file(let path) = anchor { unlink(anchorPath(path)) }
        return takeBackFromToken(chosen, after: failure)
    }

    func takeBackFromToken(_ chosen: ChosenToken, after failure: CommandFailure) -> CommandFailure {
        do throws(TokenError) { try TokenObjects.destroy(chosen.settings.id, in: chosen.token) } catch {
            // Without a PIN nothing was begun.
            if error.kind == .wrongPIN || error.kind == .lockedPIN { return failure }
            return CommandFailure(
                failure.status,
                "\(failure.text) What was made in the token under the id \(chosen.settings.id) may still be there; nothing depends "
                    + "on it.")
        }
        return CommandFailure(failure.status, "\(failure.text) What was begun in the token was taken back.")
    }
}
