import BackupEngine
import Foundation

/// What this device knows about its backup; nothing of it is secret.
struct DeviceSettings: Codable, Equatable, Sendable {
    static let fileName = "settings.json"

    /// `enabling` until everything stands: then `enable` may be run again and goes on with the same key.
    enum Phase: String, Codable, Sendable {
        case enabling
        case enabled
    }

    var version = 1
    var phase: Phase
    var source: String
    var store: String
    var storeID: String
    var keyStorage: KeyStorage
    var protections: [Protection]
    var signIn: SignIn?
    /// Whether vaults may hold shares of this key: then the key must not be forgotten before they have erased them.
    var mayBeRegistered = false
    /// Set while another key takes the place of this device's.
    var newKey: NewKey?
    /// Where the key is kept that the present one took the place of, as long as vaults may want its word.
    var earlierKeyStorage: KeyStorage?
    /// Set while the backup gets a fleet, another one, or none.
    var fleetChange: FleetChange?
    /// The sign-in at a fleet that is left, and still has shares of the key.
    var leavingSignIn: SignIn?
    /// What the person chose not to save; nil if everything is saved.
    var leftOut: LeftOut?
    /// How fast the store is written to and read from; nil for no limit.
    var limit: TransferLimit?
    /// What was found out of the store; nil if nothing was.
    var capabilities: StoreCapabilities?
}

extension DeviceSettings {
    struct NewKey: Codable, Equatable, Sendable {
        /// `begun`: the old key is in use. `delivering`: it still is; so many vaults have the new one that a password may bring
        /// back either. `registered`: wherever a password was, it brings the new one back.
        enum Stage: String, Codable, Sendable {
            case begun
            case delivering
            case registered
        }

        var stage: Stage
        var keyStorage: KeyStorage
    }

    struct FleetChange: Codable, Equatable, Sendable {
        /// At the fleet of the file `next-fleet.toml`; nil if the backup is to have none.
        var signIn: SignIn?
        /// Whether it is to a newer version of the same fleet.
        var isVersion: Bool?
        /// Set where the store names a newer version of the same fleet already, whose vaults have yet to get the registration.
        var isNamed: Bool?
    }
}

/// A way to unlock the backup key.
public enum Protection: String, Codable, Sendable, CaseIterable {
    case password
    case sixtyFourDigitKey = "64-digit-key"
}

/// Where sign-in tokens come from; the tokens themselves are never kept.
public enum SignIn: Codable, Equatable, Sendable {
    /// A file that holds a JSON object: vault id to token.
    case file(String)
    /// A command that prints such an object.
    case command(String)
}

extension DeviceFolder {
    func settings() throws(CofferError) -> DeviceSettings? {
        guard let bytes = try read(DeviceSettings.fileName) else { return nil }
        guard let settings = try? JSONDecoder().decode(DeviceSettings.self, from: Data(bytes)), settings.version == 1
        else {
            throw CofferError(
                .damagedState, "\(path)/\(DeviceSettings.fileName) is damaged or was written by another version.",
                advice:
                    "Delete nothing in that folder: it may hold the only key. Another --state folder can go on with the "
                    + "backup: coffer enable FOLDER --to STORE --join --key-file \(path)/\(KeyStorage.fileName)")
        }
        return settings
    }

    func save(_ settings: DeviceSettings) throws(CofferError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? encoder.encode(settings) else {
            throw CofferError(.internalError, "The settings cannot be written.", advice: "Please report this.")
        }
        try write(DeviceSettings.fileName, Array(bytes) + [0x0a])
    }
}
