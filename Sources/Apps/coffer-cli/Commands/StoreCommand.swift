import ArgumentParser
import Coffer

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Sign this device in at a store in a cloud.",
        subcommands: [Login.self, Logout.self, ListSignIns.self])

    struct Login: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep the key of a bucket on this device.",
            discussion: """
                The key is tried first. Its secret part goes to the keychain, or to a file that only you can read. AWS_ACCESS_KEY_ID and \
                AWS_SECRET_ACCESS_KEY in the environment take its place.
                """)

        @Argument(help: "The store: s3:https://HOST/BUCKET.") var store: String
        @Option(
            help: ArgumentHelp(
                "A file of two lines: the access key ID and the secret access key. Without it you are asked.",
                valueName: "file"))
        var credentialsFile: String?
        @OptionGroup var common: CommonOptions

        func run() async throws {
            var (id, secret) = try key()
            defer { for index in secret.indices { secret[index] = 0 } }
            try await common.device.signIn(to: store, accessKeyID: id, wiping: &secret)
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            Output.line("The store accepts the key, and this device keeps it.")
        }

        private func key() throws -> (id: String, secret: [UInt8]) {
            guard let credentialsFile else {
                let id = try SecretInput.askVisibly("Access key ID: ", insteadUse: "--credentials-file")
                return (id, try SecretInput.ask("Secret access key: ", insteadUse: "--credentials-file"))
            }
            var text = try SecretInput.read(file: credentialsFile)
            defer { for index in text.indices { text[index] = 0 } }
            let lines = text.split { $0 == 0x0a || $0 == 0x0d }
            guard lines.count == 2 else {
                throw ValidationError("\(credentialsFile) does not have two lines: the ID and the secret of the key.")
            }
            return (String(decoding: lines[0], as: UTF8.self), Array(lines[1]))
        }
    }

    struct Logout: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forget the key of a bucket.")

        @Argument(help: "The store: s3:https://HOST/BUCKET.") var store: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try common.device.signOut(of: store)
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            Output.line("This device has forgotten the key.")
        }
    }

    struct ListSignIns: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the buckets whose keys this device has.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let known = try common.device.storeSignIns()
            if common.json { return try Output.json(known) }
            if known.isEmpty { Output.line("This device has no keys of stores.") }
            for entry in known { Output.line("\(entry.store)  \(entry.accessKeyID)  (\(entry.keptIn))") }
        }
    }
}
