import ByteCoding
import Primitives
package import RecoveryProtocol
import TOMLKit

/// Why a text is not a fleet file. Nothing was changed; get the file again from whoever runs the fleet.
package enum FleetFileError: Error, Equatable, CustomStringConvertible {
    /// Not TOML; with the place.
    case notTOML(line: Int, reason: String)
    /// A key is missing, or has a value of another kind.
    case field(String)
    /// A key that fleet files do not have: perhaps mistyped, perhaps of a later version.
    case unknownField(String)
    /// `id` is not the one that `identity` gives: one of the two was altered.
    case idMismatch(index: UInt8)
    /// The text reads well, and breaks a rule of fleets.
    case rule(FleetError)

    /// What stood in the file comes out without characters that steer a terminal.
    package var description: String {
        switch self {
        case .notTOML(let line, let reason): "the fleet file is not TOML: line \(line): \(reason.printable)"
        case .field(let name): "the fleet file has no usable `\(name.printable)`"
        case .unknownField(let name):
            "the fleet file has a field `\(name.prefix(64).printable)` that this version does not know"
        case .idMismatch(let index): "the fleet file gives vault \(index) an id that its identity key does not have"
        case .rule(let error): "the fleet file breaks a rule of fleets: \(error.reason)"
        }
    }
}

extension FleetError {
    package var reason: String {
        switch self {
        case .sizeAndThreshold(let version):
            "version \(version) needs an odd number of vaults, 1 to 15, and the threshold (n+1)/2"
        case .repeatedVault(let index): "vault index \(index) or its identity key stands twice, or is 0"
        case .unknownVault(let index): "a version names vault \(index), which is not listed"
        case .versionsOutOfOrder: "versions begin at 1 and rise"
        case .promisedTotal: "`promised_total` gives each vault no attempt, or more than 64"
        case .urls(let index): "vault \(index) needs one to four http or https URLs without quotes or spaces"
        case .tooLarge: "too many vaults or versions"
        }
    }
}

/// The file as TOML holds it.
private struct FileContent: Decodable {
    struct Vault: Decodable {
        let index: Int
        let id: String?
        let identity: String
        let urls: [String]
        let retired: Bool?
    }

    struct Earlier: Decodable {
        let version: Int
        let threshold: Int
        let vaults: [Int]
    }

    struct Signature: Decodable {
        let vault: Int
        let value: String
    }

    enum CodingKeys: String, CodingKey {
        case fleet, version, threshold, vault, earlier, signature
        case promisedTotal = "promised_total"
    }

    let fleet: String
    let version: Int
    let threshold: Int
    let promisedTotal: Int
    let vault: [Vault]
    let earlier: [Earlier]?
    let signature: [Signature]?
}

extension FleetFile {
    /// Reads a fleet file. Fields that it should not have are refused: a mistyped `retired` would otherwise count a
    /// vault that left.
    package init(text: String) throws(FleetFileError) {
        let content = try Self.parse(text)
        guard let id = try? FleetID(hex: content.fleet) else { throw .field("fleet") }
        guard let promisedTotal = UInt8(exactly: content.promisedTotal) else { throw .field("promised_total") }
        var vaults: [Fleet.Vault] = []
        for vault in content.vault { vaults.append(try Self.vault(vault)) }
        var generations: [Fleet.Generation] = []
        for earlier in content.earlier ?? [] {
            generations.append(
                try Self.generation(version: earlier.version, threshold: earlier.threshold, indices: earlier.vaults))
        }
        generations.append(
            try Self.generation(
                version: content.version, threshold: content.threshold,
                indices: content.vault.filter { $0.retired != true }.map(\.index).sorted()))
        do throws(FleetError) {
            fleet = try Fleet(id: id, promisedTotal: promisedTotal, vaults: vaults, generations: generations)
        } catch { throw .rule(error) }
        var signatures: [FleetSignature] = []
        for signature in content.signature ?? [] {
            guard let index = UInt8(exactly: signature.vault), let value = try? Signature(hex: signature.value) else {
                throw .field("signature")
            }
            signatures.append(FleetSignature(index: index, signature: value))
        }
        self.signatures = signatures
    }

    private static func parse(_ text: String) throws(FleetFileError) -> FileContent {
        do {
            return try TOMLDecoder(strictDecoding: true).decode(FileContent.self, from: text)
        } catch let error as TOMLParseError {
            throw .notTOML(line: error.source.begin.line, reason: error.description)
        } catch let error as UnexpectedKeysError {
            throw .unknownField(error.keys.keys.sorted().first ?? "?")
        } catch let error as DecodingError {
            throw .field(name(of: error))
        } catch {
            throw .field("vault")
        }
    }

    private static func name(of error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, _): key.stringValue
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.codingPath.last { $0.intValue == nil }?.stringValue ?? "vault"
        @unknown default: "vault"
        }
    }

    private static func vault(_ content: FileContent.Vault) throws(FleetFileError) -> Fleet.Vault {
        guard let index = UInt8(exactly: content.index) else { throw .field("index") }
        guard let identity = try? VerifyingKey(hex: content.identity) else { throw .field("identity") }
        let vault = Fleet.Vault(index: index, identityKey: identity, urls: content.urls)
        if let id = content.id, id != vault.id.hex { throw .idMismatch(index: index) }
        return vault
    }

    private static func generation(
        version: Int, threshold: Int, indices: [Int]
    ) throws(FleetFileError) -> Fleet.Generation {
        guard let version = UInt32(exactly: version) else { throw .field("version") }
        guard let threshold = UInt8(exactly: threshold) else { throw .field("threshold") }
        var narrow: [UInt8] = []
        for index in indices {
            guard let index = UInt8(exactly: index) else { throw .field("vaults") }
            narrow.append(index)
        }
        return Fleet.Generation(version: version, threshold: threshold, indices: narrow)
    }
}
