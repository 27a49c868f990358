import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol

/// A person's sign-in at a fleet: one token for each vault, and whose they are.
///
/// The tokens come from the app, from a file or from a command (as restic's and git's credential helpers do), and are never kept.
struct Tokens: Sendable {
    let name: AccountName
    private let byVault: [String: SecretBytes]

    static func read(_ signIn: SignIn) throws(CofferError) -> Tokens {
        var json: [UInt8]
        switch signIn {
        case .file(let path):
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CofferError(
                    .tokenRefused, "\(path) with your sign-in tokens cannot be read.", advice: "Check the file's name.")
            }
            json = Array(data)
        case .command(let command):
            json = try output(of: command)
        }
        defer { json.wipe() }
        return try Tokens(json: json)
    }

    /// A JSON object: vault id to token.
    private init(json: [UInt8]) throws(CofferError) {
        let unreadable = CofferError(
            .tokenRefused, "The sign-in is not a JSON object from vault ids to tokens.",
            advice: "Get a new sign-in from your app, or from `coffer-vault issuer token`.")
        guard let object = try? JSONDecoder().decode([String: String].self, from: Data(json)),
            let first = object.sorted(by: { $0.key < $1.key }).first?.value, let name = Self.name(in: first)
        else { throw unreadable }
        self.name = name
        byVault = object.mapValues { SecretBytes(copying: $0.utf8) }
    }

    /// The token for one vault, if there is one.
    func token(for vault: VaultID) -> SecretBytes? { byVault["\(vault)"] }

    /// Whose token it is, by its own claims: the vault checks them, this side only repeats them.
    private static func name(in token: String) -> AccountName? {
        struct Claims: Decodable {
            let iss: String
            let sub: String
        }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64URL.decode(parts[1]),
            let claims = try? JSONDecoder().decode(Claims.self, from: Data(payload))
        else { return nil }
        return try? AccountName(tenant: claims.iss, account: claims.sub)
    }

    private static func output(of command: String) throws(CofferError) -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command]
        let pipe = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        guard (try? process.run()) != nil else {
            throw CofferError(.tokenRefused, "The token command could not be started.", advice: "Check the command.")
        }
        let printed = Array((try? pipe.fileHandleForReading.readToEnd()) ?? Data())
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CofferError(
                .tokenRefused, "The token command failed with status \(process.terminationStatus).",
                advice: "Run it by hand to see why.")
        }
        return printed
    }
}
