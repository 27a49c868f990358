import ArgumentParser
import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import VaultCore

/// Which token, and how to log in at it.
struct TokenOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The PKCS #11 module of a token's maker, by its full path.",
            discussion: "It is code that runs inside of the vault.", valueName: "path"))
    var pkcs11: String?

    @Option(help: "The token's serial number, as `coffer-vault token list` shows it.")
    var tokenSerial: String?

    @Option(help: "A file with the token's PIN, which only you can read. The vault reads it at every start.")
    var pinFile: String?

    @Option(
        help: "Instead of it: the number of a file descriptor with the PIN, which every command is then started with.")
    var pinFd: Int32?

    func validate() throws {
        guard let pkcs11 else {
            guard tokenSerial == nil, pinFile == nil, pinFd == nil else {
                throw ValidationError("--token-serial, --pin-file and --pin-fd go with --pkcs11.")
            }
            return
        }
        guard pkcs11.hasPrefix("/"), pkcs11.printable == pkcs11 else {
            throw ValidationError("--pkcs11 is the module's full path.")
        }
        guard pinFile == nil || pinFd == nil else {
            throw ValidationError("--pin-file or --pin-fd, not both.")
        }
        guard pinFd ?? 3 >= 0, pinFile.map({ $0.printable == $0 }) ?? true else {
            throw ValidationError("--pin-fd is a file descriptor's number, and --pin-file a path of plain characters.")
        }
    }

    /// As it will be found from anywhere.
    var pin: PINSource? {
        if let pinFd { return .descriptor(pinFd) }
        return pinFile.map { .file(URL(filePath: $0).standardizedFileURL.path) }
    }
}

/// What a vault's making decides about its token.
struct TokenTuning: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "For SoftHSM alone, which does not wait for the disk: the folder of its tokens' files.", valueName: "path"))
    var tokenFolder: String?

    @Option(
        help: "At least so many milliseconds from one write of an anchor in the token to the next: tokens wear out.")
    var anchorIntervalMs: UInt32 = 1000

    func validate() throws {
        guard anchorIntervalMs <= 60_000, tokenFolder.map({ $0.printable == $0 }) ?? true else {
            throw ValidationError(
                "--anchor-interval-ms is at most 60000, and --token-folder a path of plain characters.")
        }
    }
}

/// A token that was found and named by the options, for a vault's making or moving.
struct ChosenToken {
    let token: Token
    var settings: TokenSettings

    init(_ options: TokenOptions, _ tuning: TokenTuning) throws {
        guard let module = options.pkcs11, let serial = options.tokenSerial, let source = options.pin else {
            throw ValidationError("--pkcs11 needs --token-serial, and --pin-file or --pin-fd.")
        }
        var generator = SystemRandomNumberGenerator()
        let opened = try Self.open(module: module, serial: serial, pin: source)
        token = opened
        settings = TokenSettings(
            module: module, name: opened.name, id: .random(using: &generator), pin: source,
            syncFolder: tuning.tokenFolder.map { URL(filePath: $0).standardizedFileURL.path },
            anchorIntervalMilliseconds: tuning.anchorIntervalMs)
    }

    static func open(module: String, serial: String, pin: PINSource) throws(CommandFailure) -> Token {
        do throws(SecurityModuleError) {
            let library: PKCS11Library
            let found: [TokenDescription]
            do throws(TokenError) {
                library = try PKCS11Library.open(path: module)
                found = try library.tokens()
            } catch { throw SecurityModuleError(error) }
            guard let name = found.first(where: { $0.name.serial == serial })?.name else {
                throw .unreachable(
                    "No token has the serial number \(serial.printable). `coffer-vault token list --pkcs11 \(module)` shows those "
                        + "that are there.")
            }
            guard name.isPlain else { throw .unfit("\(name) has characters in its name that no settings can hold.") }
            return Token(name, library: library, pin: try pin.read())
        } catch { throw CommandFailure(error) }
    }
}
