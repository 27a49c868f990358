import BackupFormat
import FleetFiles
import Foundation
import Primitives
import RecoveryProtocol

/// A fleet and a person's sign-in there: what it takes to put the key behind a password, and to get it back.
struct FleetAccess: Sendable {
    /// The device's own copy of the fleet file, as the person gave it or the key authenticated it.
    static let fileName = "fleet.toml"

    let file: FleetFile
    /// The file's text as it goes into the store's header.
    let text: String
    let client: FleetClient

    /// - Parameter fleetText: the fleet file.
    init(fleetText: String, signIn: SignIn) throws(CofferError) {
        text = fleetText
        file = try Self.parse(fleetText)
        let tokens = try Tokens.read(signIn)
        client = FleetClient(
            fleet: file.fleet, name: tokens.name, transport: HTTPVaultTransport(),
            tokens: { vault in
                guard let token = tokens.token(for: vault.id) else { throw MissingToken() }
                return token.withBytes { Array($0) }
            },
            // A vault that has not answered by then counts as down; the others' answers do not wait for it.
            deadline: { _ in try? await Task.sleep(for: .seconds(20)) },
            // Once enough vaults have answered, the others have this long: a person is waiting.
            grace: { try? await Task.sleep(for: .seconds(2)) },
            // Another device is at the same vaults, and goes first. Of random length, so that two do not stay in step.
            pause: { round in try? await Task.sleep(for: .seconds(.random(in: 0...min(0.4, 0.1 * Double(round))))) },
            now: { Timestamp(unixSeconds: secondsSince1970()) })
    }

    static func read(path: String) throws(CofferError) -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count < 1 << 20,
            let text = String(validating: data, as: UTF8.self)
        else {
            throw CofferError(.badFleetFile, "The fleet file \(path) cannot be read.", advice: "Check its name.")
        }
        _ = try parse(text)
        return text
    }

    /// The fleet that a fleet file describes.
    static func fleet(of text: String) throws(CofferError) -> Fleet { try parse(text).fleet }

    private static func parse(_ text: String) throws(CofferError) -> FleetFile {
        do throws(FleetFileError) {
            return try FleetFile(text: text)
        } catch {
            throw CofferError(
                .badFleetFile, "The fleet file is not valid: \(error.description).",
                advice: "Get it again from whoever runs the vaults.")
        }
    }

    private struct MissingToken: Error {}
}

/// A fleet as people compare it.
public struct FleetSummary: Sendable, Equatable, Codable {
    public let fingerprint: String
    public let vaults: Int
    /// How many vaults a recovery needs.
    public let threshold: Int
    public let urls: [String]

    init(_ fleet: Fleet) {
        fingerprint = (try? fleet.fingerprint()).map { "\($0)" } ?? ""
        vaults = fleet.currentVaults.count
        threshold = fleet.threshold
        urls = fleet.currentVaults.map { $0.urls.first ?? "\($0.id)" }
    }
}

extension Fleet.Vault {
    /// How a vault is called in words: by its first URL.
    var place: String { urls.first ?? "vault \(index)" }
}

extension VaultReport {
    /// Whether the vault is up, whatever it said.
    var isAnswer: Bool {
        if case .refused = problem { true } else { false }
    }

    /// What is wrong with the vault, in words.
    var words: String { "\(vault.place) \(problem.words)" }
}

extension VaultProblem {
    fileprivate var words: String {
        switch self {
        case .unreachable(let detail): "cannot be reached (\(detail))"
        case .timedOut: "did not answer in time"
        case .clock: "has another time than this device"
        case .misbehaves: "misbehaves: what it answers is not what it must be"
        case .noToken: "has no token in your sign-in"
        case .waiting(let until): "holds another key for this account until \(until.words)"
        case .replacedWithoutKey(let time): "had its key replaced, without the one before, on \(time.words)"
        case .refused(let refusal): refusal.words
        }
    }
}

extension Refusal {
    fileprivate var words: String {
        switch self {
        case .unauthorised, .wrongVault: "does not accept your sign-in"
        case .tokenExpired: "says that your sign-in has expired"
        case .notRegistered: "has no registration of this account"
        case .unknownRegistration, .notPrepared: "has another registration of this account"
        case .tooEarly(let time): "wants a wait until \(time.words)"
        case .destructionPending(let time): "has no attempts left and erases its share on \(time.words)"
        case .destroyed(let time): "erased its share on \(time.words)"
        case .policyRefused(.argon2TooCheap): "wants a more expensive password hash"
        case .policyRefused(.registrationClosed): "takes no new registrations"
        case .fleetMismatch(let version): "has version \(version) of the fleet file"
        case .oldKeyNeeded: "has a registration of this account under another key"
        case .busy(let seconds): "is busy; try again in \(seconds) s"
        case .suspended: "suspends recovery for now: too many failed attempts everywhere"
        case .unavailable: "cannot serve now"
        case .changeWaiting(let allowed):
            "keeps another request without the key, which may be carried out from \(allowed.words)"
        case .frozen: "came back from a backup, and answers again when a device that has the key was in touch with it"
        case .malformed, .staleSerial, .badShare, .badSignature, .attemptReused: "refused the request"
        }
    }
}

extension Timestamp {
    /// In this device's time zone.
    var words: String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_GB")
        formatter.dateFormat = "d MMM yyyy, HH:mm"
        return formatter.string(from: Date(timeIntervalSince1970: Double(unixSeconds)))
    }
}
