import ArgumentParser
import Foundation
import SecurityModules
import VaultServer

/// TLS by the vault itself.
struct TLSOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Speaks TLS 1.3 under this certificate: PEM, the vault's own first, then those above it.",
            valueName: "file"))
    var tlsCert: String?

    @Option(
        help: ArgumentHelp("The certificate's key: PEM, for its owner alone to read (chmod 600).", valueName: "file"))
    var tlsKey: String?

    private static let bytesMax = 1 << 18

    func validate() throws {
        guard (tlsCert == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key belong together.")
        }
    }

    /// Nil: the vault speaks plain HTTP.
    func certificate() throws(CommandFailure) -> ServerCertificate? {
        guard let tlsCert, let tlsKey else { return nil }
        let files = try Self.read(tlsCert, tlsKey)
        do throws(CertificateError) { return try ServerCertificate(chain: files.chain, key: files.key) } catch {
            throw failure(error)
        }
    }

    func replace(_ certificate: ServerCertificate) throws(CommandFailure) {
        guard let tlsCert, let tlsKey else { return }
        let files = try Self.read(tlsCert, tlsKey)
        do throws(CertificateError) { try certificate.replace(chain: files.chain, key: files.key) } catch {
            throw failure(error)
        }
    }

    private static func read(_ chain: String, _ key: String) throws(CommandFailure) -> (chain: [UInt8], key: [UInt8]) {
        let chain = try PublicFile.read(chain, bytesMax: bytesMax)
        // Programs that renew certificates leave a link to the newest key.
        let path = URL(filePath: key).resolvingSymlinksInPath().path
        do throws(PrivateFile.Failure) { return (chain, try PrivateFile.read(path, bytesMax: bytesMax)) } catch {
            switch error {
            case .notPrivate:
                throw CommandFailure(
                    .notPrivate,
                    "\(key) can be read by others, who may stand in for this vault: `chmod 600 \(key)`, and "
                        + "think of a new key.")
            case .system(let text): throw CommandFailure(.fileAccess, text)
            case .notPlain, .exists: throw CommandFailure(.badFile, "\(key) is not a key's file.")
            }
        }
    }

    private func failure(_ error: CertificateError) -> CommandFailure {
        switch error {
        case .certificate: CommandFailure(.badFile, "\(tlsCert ?? "") holds no certificate in PEM.")
        case .key: CommandFailure(.badFile, "\(tlsKey ?? "") holds no private key in PEM, or one with a password.")
        case .mismatch:
            CommandFailure(
                .badFile,
                "\(tlsKey ?? "") is not the key of the first certificate in \(tlsCert ?? ""), or one of them is of a "
                    + "kind that TLS 1.3 does not have.")
        }
    }
}
