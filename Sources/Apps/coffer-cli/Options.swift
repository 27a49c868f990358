import ArgumentParser
import Coffer

/// Options of every command.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print one JSON object on standard output, errors too.")
    var json = false

    @Option(help: ArgumentHelp("Where this device keeps its key and settings.", valueName: "folder"))
    var state: String?

    var device: Device { Device(stateFolder: state) }
}

/// How to get at the key of a store that this device does not know.
struct UnlockOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The store to read, on a device that has no backup of its own. Without it: this device's store.",
            valueName: "store"))
    var from: String?

    @Option(
        help: ArgumentHelp("A file that holds the 64-digit key. Without it you are asked.", valueName: "file"))
    var keyFile: String?

    /// Opens the named store with a key, or this device's own.
    func open(_ common: CommonOptions) async throws -> OpenedBackup {
        guard let from else { return try await common.device.open() }
        return try await OpenedBackup.open(from, with: try key())
    }

    private func key() throws -> SixtyFourDigitKey {
        if let keyFile {
            var text = try SecretInput.read(file: keyFile)
            return try SixtyFourDigitKey(wiping: &text)
        }
        var text = try SecretInput.ask("64-digit key: ", insteadUse: "--key-file")
        return try SixtyFourDigitKey(wiping: &text)
    }
}
