import BackupFormat
import Foundation
import Primitives

/// Where this device keeps K: the desktop's keychain (Secret Service, through `secret-tool`) where there is one, else a file
/// that only its owner may read.
enum KeyStorage: String, Codable, Sendable {
    case secretService = "secret-service"
    case file

    static let fileName = "key"

    /// While one key takes the place of another a device has both.
    enum Slot: String, CaseIterable {
        case present = ""
        /// To be the present one.
        case next = "next-"
        /// What was the present one, as long as vaults have registrations that end by its word.
        case earlier = "earlier-"

        var fileName: String { rawValue + KeyStorage.fileName }
        func item(_ storeID: String) -> String { rawValue + storeID }
    }

    /// The best that this device offers.
    static func preferred() -> KeyStorage {
        let environment = ProcessInfo.processInfo.environment
        guard environment["DBUS_SESSION_BUS_ADDRESS"] != nil, environment["COFFER_KEY_STORAGE"] != "file",
            SecretTool.isInstalled
        else { return .file }
        return .secretService
    }

    /// Keeps the key; falls back to the file when the keychain does not take it.
    ///
    /// - Parameter storeID: names the item in the keychain: one key belongs to one store.
    static func save(
        _ key: BackupKey, storeID: String, in folder: DeviceFolder, slot: Slot = .present
    ) throws(CofferError) -> KeyStorage {
        try save(digits(key), item: slot.item(storeID), fileName: slot.fileName, in: folder)
    }

    /// Keeps a secret that is one line of text.
    static func save(
        _ secret: SecretBytes, item: String, fileName: String, in folder: DeviceFolder
    ) throws(CofferError) -> KeyStorage {
        if preferred() == .secretService, SecretTool.store(secret, for: item) { return .secretService }
        var text = secret.withBytes { Array($0) } + [0x0a]
        defer { text.wipe() }
        try folder.write(fileName, text)
        return .file
    }

    /// The secret that was kept, without the end of its line, or nil if it is not there.
    func load(item: String, fileName: String, from folder: DeviceFolder) throws(CofferError) -> SecretBytes? {
        guard self == .file else { return SecretTool.lookup(for: item) }
        guard var text = try folder.read(fileName) else { return nil }
        defer { text.wipe() }
        return SecretBytes(copying: text.last == 0x0a ? text.dropLast() : text[...])
    }

    func delete(item: String, fileName: String, from folder: DeviceFolder) {
        switch self {
        case .file: folder.delete(fileName)
        case .secretService: SecretTool.clear(for: item)
        }
    }

    /// The key that was kept, or nil if it is not there.
    func load(
        storeID: String, from folder: DeviceFolder, slot: Slot = .present
    ) throws(CofferError) -> BackupKey? {
        guard let digits = try load(item: slot.item(storeID), fileName: slot.fileName, from: folder) else { return nil }
        do {
            return try BackupKey(digits: digits)
        } catch {
            throw CofferError(
                .damagedState, "The key that this device keeps is damaged.",
                advice: "Restore with your password or your 64-digit key; the backups are not affected.")
        }
    }

    func delete(storeID: String, from folder: DeviceFolder, slot: Slot = .present) {
        delete(item: slot.item(storeID), fileName: slot.fileName, from: folder)
    }

    private static func digits(_ key: BackupKey) -> SecretBytes {
        SecretBytes(copying: key.revealDigits().utf8)
    }
}

/// `secret-tool` of libsecret: it takes and gives the secret on its standard streams, never as an argument.
private enum SecretTool {
    static var isInstalled: Bool { path != nil }

    private static var path: String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { "\($0)/secret-tool" }.first { access($0, X_OK) == 0 }
    }

    private static func attributes(_ storeID: String) -> [String] { ["application", "coffer", "store", storeID] }

    static func store(_ secret: SecretBytes, for storeID: String) -> Bool {
        run(["store", "--label=Coffer key"] + attributes(storeID), input: secret) != nil
            && lookup(for: storeID)?.isEqual(to: secret) == true
    }

    static func lookup(for storeID: String) -> SecretBytes? {
        run(["lookup"] + attributes(storeID)).flatMap { $0.count == 0 ? nil : $0 }
    }

    static func clear(for storeID: String) { _ = run(["clear"] + attributes(storeID)) }

    /// What the tool printed, or nil if it failed.
    private static func run(_ arguments: [String], input: SecretBytes? = nil) -> SecretBytes? {
        guard let path else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let (toTool, fromTool) = (Pipe(), Pipe())
        process.standardInput = toTool
        process.standardOutput = fromTool
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        input?.withBytes { bytes in
            _ = write(toTool.fileHandleForWriting.fileDescriptor, bytes.baseAddress, bytes.count)
        }
        try? toTool.fileHandleForWriting.close()
        var output = Array((try? fromTool.fileHandleForReading.readToEnd()) ?? Data())
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return SecretBytes(wiping: &output)
    }
}
