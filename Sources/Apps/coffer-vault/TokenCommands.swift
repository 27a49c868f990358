import ArgumentParser
import ByteCoding
import Foundation
import SecurityModules
import VaultCore
import VaultServer

struct TokenCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "PKCS #11 tokens: hardware that keeps a vault's key.",
        subcommands: [List.self, Move.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Lists the tokens that a module finds. With a serial number and a PIN: what vaults have in that one.")

        @OptionGroup var options: TokenOptions

        func validate() throws {
            guard options.pkcs11 != nil else { throw ValidationError("--pkcs11 says which module to ask.") }
        }

        func run() throws {
            guard let module = options.pkcs11 else { return }
            guard let serial = options.tokenSerial, let pin = options.pin else { return try listTokens(module) }
            let token = try ChosenToken.open(module: module, serial: serial, pin: pin)
            let labels: [String]
            do throws(TokenError) { labels = try TokenObjects.labels(in: token) } catch {
                throw CommandFailure(SecurityModuleError(error))
            }
            Output.line("\(token.name) has \(labels.isEmpty ? "nothing of a vault." : "of vaults:")")
            for label in labels { Output.line("  \(label)") }
        }

        private func listTokens(_ module: String) throws {
            let tokens: [TokenDescription]
            do throws(TokenError) { tokens = try PKCS11Library.open(path: module).tokens() } catch {
                throw CommandFailure(SecurityModuleError(error))
            }
            if tokens.isEmpty { Output.line("The module finds no token that was initialised.") }
            for token in tokens {
                Output.line(
                    "serial \(token.name.serial.printable)  label \"\(token.name.label.printable)\"  "
                        + "\(token.manufacturer.printable) \(token.model.printable)\(Self.notes(token))")
            }
        }

        private static func notes(_ token: TokenDescription) -> String {
            var notes = ""
            if !token.isPINSet { notes += ", its PIN is not set" }
            if token.isPINLocked { notes += ", its PIN is locked" }
            if token.isFinalTry { notes += ", one more wrong PIN locks it" }
            if token.isWriteProtected { notes += ", write-protected" }
            return notes
        }
    }

    struct Move: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Moves a vault's key into a token: from its key file, or from another token.",
            discussion: """
                Stop the vault first. The new token gets a key of its own, and the data key is wrapped with that; the records \
                stay as they are. An anchor in the old token moves along. Afterwards what the vault had in the old token, or its \
                key file, is destroyed. Copies of a key file together with data-key.wrapped open the records for ever: if anybody \
                may have them, make a new vault instead.
                """)

        @Argument(help: "The vault's folder.")
        var folder: String

        @OptionGroup var options: TokenOptions
        @OptionGroup var tuning: TokenTuning

        func validate() throws {
            guard options.pkcs11 != nil else { throw ValidationError("--pkcs11 and --token-serial say which token.") }
        }

        func run() throws {
            let vault = VaultFolder(path: folder)
            let parts = try vault.openParts()
            // Completes what a crash left, and refuses a store that was put back.
            do throws(LedgerError) { _ = try parts.records.load([]) } catch { throw CommandFailure(error) }
            let chosen = try ChosenToken(options, tuning)
            let settings: TokenSettings
            do throws(SecurityModuleError) {
                settings = try vault.wrap(parts.keys.dataKey, in: chosen, label: "moved")
            } catch { throw vault.takeBackFromToken(chosen, after: CommandFailure(error)) }
            do throws(AnchorError) {
                let new = VaultKeys.OpenToken(token: chosen.token, settings: settings)
                if let old = parts.keys.token, parts.anchorSettings == .token {
                    try vault.tokenAnchor(old).move(to: vault.tokenAnchor(new)) { () throws(AnchorError) in
                        try keep(settings, in: vault)
                    }
                } else {
                    try keep(settings, in: vault)
                }
            } catch {
                guard (try? vault.readTokenSettings())?.id == settings.id else {
                    throw vault.takeBackFromToken(chosen, after: CommandFailure(LedgerError(error)))
                }
                Output.error("coffer-vault: the anchor in the old token could not be destroyed: \(error)")
            }
            Output.line("\(chosen.token.name) has the vault's key now.")
            destroyOld(parts.keys, in: vault)
            Output.line("Make a new backup now: copies from before the move do not open.")
        }

        private func keep(_ settings: TokenSettings, in vault: VaultFolder) throws(AnchorError) {
            do throws(PrivateFile.Failure) {
                try PrivateFile.replace(vault.tokenSettings, Array(settings.text.utf8))
            } catch {
                throw .unavailable("\(vault.tokenSettings) cannot be written: \(error)")
            }
        }

        private func destroyOld(_ old: VaultKeys, in vault: VaultFolder) {
            guard let token = old.token else {
                for path in [vault.wrappingKey, vault.wrappedDataKey] where unlink(path) != 0 {
                    Output.error("coffer-vault: \(path) is still there. Delete it: it opens the records.")
                }
                return Output.line(
                    "The key file is deleted. Destroy its copies: with data-key.wrapped they open the records.")
            }
            do throws(TokenError) { try TokenObjects.destroy(token.settings.id, in: token.token) } catch {
                return Output.error(
                    "coffer-vault: what the vault had in the old token under the id \(token.settings.id) is still there: "
                        + "\(error.text) Destroy it, or the token.")
            }
            Output.line("What the vault had in the old token is destroyed.")
        }
    }
}
