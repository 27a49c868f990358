import ArgumentParser
import Coffer

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Sign this device in at a store in a cloud; try a store.",
        subcommands: [Login.self, Logout.self, ListSignIns.self, StoreTestCommand.self])

    struct Login: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep what opens a store on this device.",
            discussion: """
                It is tried first. Its secret part goes to the keychain, or to a file that only you can read. Where this device keeps \
                nothing for a bucket or a folder, the environment counts: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                COFFER_WEBDAV_USER and COFFER_WEBDAV_PASSWORD, with COFFER_WEBDAV_URL for that folder alone.

                For Google Drive it is your own OAuth client (Docs/Stores.md says how to get one), and then you allow it access in your \
                browser. To sign in again no client is needed.

                For iCloud (experimental) it is an API token of your own container in CloudKit (Docs/Stores.md says how), and then you sign in \
                at Apple in your browser.
                """)

        @Argument(
            help: "The store: s3:https://HOST/BUCKET, webdav:https://HOST/PATH, gdrive:FOLDER, icloud:CONTAINER/ZONE.")
        var store: String
        @Option(
            help: ArgumentHelp(
                "A file of two lines: the name (a user, a bucket's access key ID, an OAuth client's ID) and the secret; or the file of an "
                    + "OAuth client from Google's console; for iCloud the API token alone. Without it you are asked.",
                valueName: "file"))
        var credentialsFile: String?
        @Flag(
            help:
                "Google Drive, iCloud: allow it on another device, where this one has no browser or Apple's page does not come back to it."
        )
        var device = false
        @Option(
            help: ArgumentHelp("iCloud: the port of the API token's callback, if it is not 8713.", valueName: "port"))
        var port: UInt16?
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let form = try common.device.signInForm(for: store)
            guard port == nil || form.way == .apple else { throw ValidationError("--port is for stores in iCloud.") }
            switch form.way {
            case .google: return try await signInAtGoogle(form)
            case .apple: return try await signInAtApple(form)
            case .nameAndSecret: break
            }
            guard !device else { throw ValidationError("--device is for stores in Google Drive and in iCloud.") }
            var (name, secret) = try nameAndSecret(form)
            defer { for index in secret.indices { secret[index] = 0 } }
            try await common.device.signIn(to: store, name: name, wiping: &secret)
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            Output.line("The store accepts it, and this device keeps it.")
        }

        private func nameAndSecret(_ form: Device.StoreSignInForm) throws -> (name: String, secret: [UInt8]) {
            guard let credentialsFile else {
                let name = try SecretInput.askVisibly("\(form.name): ", insteadUse: "--credentials-file")
                return (name, try SecretInput.ask("\(form.secret): ", insteadUse: "--credentials-file"))
            }
            var text = try SecretInput.read(file: credentialsFile)
            defer { for index in text.indices { text[index] = 0 } }
            let lines = text.split { $0 == 0x0a || $0 == 0x0d }
            guard lines.count == 2 else {
                throw ValidationError("\(credentialsFile) does not have two lines: \(form.name), and \(form.secret).")
            }
            return (String(decoding: lines[0], as: UTF8.self), Array(lines[1]))
        }

        private func signInAtGoogle(_ form: Device.StoreSignInForm) async throws {
            let opensBrowser = !common.json
            let signedIn = try await common.device.signInAtGoogle(
                store, client: try oauthClient(form), atOtherDevice: device
            ) { Browser.tell($0, opening: opensBrowser) }
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            let whose = signedIn.emailAddress.map { " as \(Output.printable(name: $0))" } ?? ""
            Output.line("You are signed in at Google Drive\(whose), and this device keeps it.")
            signedIn.notes.forEach { Output.line(Output.printable($0)) }
        }

        private func signInAtApple(_ form: Device.StoreSignInForm) async throws {
            let opensBrowser = !common.json
            var token = try apiToken(form)
            let answer: ICloudAnswer =
                device
                ? .broughtBack {
                    try SecretInput.ask(
                        "The address at which the browser ended: ", insteadUse: "a browser on this machine")
                } : .atPort(port ?? ICloudAnswer.usualPort)
            let notes = try await common.device.signInAtICloud(store, wiping: &token, answer: answer) {
                Browser.tell($0, opening: opensBrowser)
            }
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            Output.line("You are signed in at iCloud, and this device keeps it.")
            notes.forEach { Output.line($0) }
        }

        /// Nil for the one that this device has.
        private func apiToken(_ form: Device.StoreSignInForm) throws -> [UInt8]? {
            if let credentialsFile {
                var text = try SecretInput.read(file: credentialsFile)
                defer { for index in text.indices { text[index] = 0 } }
                let lines = text.split { $0 == 0x0a || $0 == 0x0d }
                guard lines.count == 1 else {
                    throw ValidationError("\(credentialsFile) does not have one line: \(form.secret).")
                }
                return Array(lines[0])
            }
            return form.isKnown ? nil : try SecretInput.ask("\(form.secret): ", insteadUse: "--credentials-file")
        }

        /// Nil for the one that this device has.
        private func oauthClient(_ form: Device.StoreSignInForm) throws -> GoogleOAuthClient? {
            if let credentialsFile {
                var text = try SecretInput.read(file: credentialsFile)
                return try GoogleOAuthClient(wiping: &text)
            }
            guard !form.isKnown else { return nil }
            var (id, secret) = try nameAndSecret(form)
            return try GoogleOAuthClient(id: id, wiping: &secret)
        }
    }

    struct Logout: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forget what opens a store.")

        @Argument(
            help: "The store: s3:https://HOST/BUCKET, webdav:https://HOST/PATH, gdrive:FOLDER, icloud:CONTAINER/ZONE.")
        var store: String
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let notes = try await common.device.signOut(of: store)
            if common.json { return try Output.json(try common.device.storeSignIns()) }
            Output.line("This device has forgotten it.")
            notes.forEach { Output.line(Output.printable($0)) }
        }
    }

    struct ListSignIns: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the stores that this device can open.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let known = try common.device.storeSignIns()
            if common.json { return try Output.json(known) }
            if known.isEmpty { Output.line("This device has signed in at no store.") }
            for entry in known { Output.line("\(entry.store)  \(entry.name)  (\(entry.keptIn))") }
        }
    }
}
