import BackupEngine
import ObjectStores
import Primitives

extension StoreAccount {
    init(_ address: CloudKitAddress) {
        self.init(
            names: [address.account], store: address.text, what: "sign-in", nameWords: "",
            secretWords: "CloudKit API token", environment: nil,
            deniedAdvice:
                "Check the container's record type, and that this Apple Account uses iCloud (Docs/Stores.md).",
            credentialsAdvice: " What is there already is not sent again.")
    }
}

/// How this device gets at one zone in iCloud.
struct ICloudAccess {
    private static let testEndpoint = TestEndpoint(variable: "COFFER_ICLOUD_URL")

    let address: CloudKitAddress
    let endpoint: CloudKitEndpoint
    private let folder: DeviceFolder

    init(_ address: CloudKitAddress, _ folder: DeviceFolder) throws(CofferError) {
        self.address = address
        self.folder = folder
        endpoint = try Self.testEndpoint.read(CloudKitEndpoint.init(onThisMachine:)) ?? .apple
    }

    static func address(_ location: String) throws(CofferError) -> CloudKitAddress {
        guard case .icloud(let address) = try StoreLocation(location) else {
            throw CofferError(
                .unsupportedStore, "\(location) is not in iCloud.", advice: "Name a zone there: icloud:CONTAINER/ZONE.")
        }
        return address
    }

    /// With what `coffer store login` has kept.
    func store() throws(CofferError) -> CloudKitStore {
        CloudKitStore(client(try apiToken(), tokens), now: secondsSince1970)
    }

    func apiToken() throws(CofferError) -> SecretBytes {
        try StoreSignIns(folder).kept(for: StoreAccount(address)).secret
    }

    func client(_ apiToken: SecretBytes, _ tokens: any WebTokens) -> CloudKitClient {
        CloudKitClient(
            address, CloudKitLine(HTTPStoreTransport(), apiToken: apiToken, tokens: tokens),
            assets: HTTPStoreTransport(), endpoint: endpoint)
    }

    var tokens: DeviceWebTokens { DeviceWebTokens(folder, account: address.account) }

    /// Forgets the web token, and tells what that means.
    func forget() -> [String] {
        tokens.delete()
        return [
            "Apple has no way for a program to end a sign-in. A copy of it that somebody made is of no use once this device's was used "
                + "after it, and ends within two weeks. The backup is still in your iCloud."
        ]
    }
}

extension CofferError {
    init(_ error: CloudKitAddress.Malformed) {
        self.init(
            .unsupportedStore, error.words,
            advice:
                "The form is icloud:CONTAINER/ZONE, or 'icloud:CONTAINER/ZONE?environment=development' (Docs/Stores.md)."
        )
    }
}

extension CloudKitAddress.Malformed {
    /// Without the text itself, in which a secret may stand.
    fileprivate var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a place in iCloud."
        case .noContainer: "The address names no container."
        case .badContainer:
            "A container's name begins with iCloud. and has letters, digits, dots, hyphens and underscores."
        case .badZone:
            "After the container comes a slash and the name of one zone: letters, digits and -._, with no _ at its beginning."
        case .unknownOption(let name): "The address has an option \(name), which is unknown or has no such value."
        }
    }
}
