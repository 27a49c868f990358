import Foundation
import ObjectStores
import Primitives
import Synchronization

/// An emulator of Google Drive (`Tests/Support/drive_emulator`), which ends with this process.
final class DriveServer: Sendable {
    struct NotRunning: Error {
        let words = "the emulator of Google Drive does not start: it needs Python 3.11"
    }

    /// One for all tests that do not change it.
    static let shared: Result<DriveServer, any Error> = Result { try DriveServer() }

    static let client = (id: "111111111111-desktop.apps.googleusercontent.com", secret: "GOCSPX-emulator-desktop")
    /// As Drive says that it has too much to do.
    static let busy = StoreAnswer(
        status: 403, body: Array(#"{"error":{"errors":[{"reason":"rateLimitExceeded"}],"code":403}}"#.utf8))

    let endpoints: GoogleEndpoints
    private let address: String
    private let refreshTokens: [DriveAddress.Space: String]
    /// Held open: the server ends when these are closed.
    private let held: [Pipe]

    /// - Parameter settings: of the emulator, as JSON.
    init(settings: String = "{}") throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = root.appendingPathComponent(".build-tools/python/bin/python")
        process.arguments = ["-c", Self.program, settings]
        process.currentDirectoryURL = root.appendingPathComponent("Tests/Support")
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        held = [input, output]
        var said: [UInt8] = []
        while said.count(where: { $0 == 0x0a }) < 3 {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else { throw NotRunning() }
            said += part
        }
        let lines = String(decoding: said, as: UTF8.self).split(separator: "\n").map(String.init)
        address = lines[0]
        endpoints = try GoogleEndpoints(onThisMachine: address)
        refreshTokens = [.drive: lines[1], .appdata: lines[2]]
    }

    /// Prints the address, and a sign-in for each scope.
    private static let program = """
        import json, sys
        from drive_emulator.client import Client
        from drive_emulator.server import start
        server = start(settings=json.loads(sys.argv[1]))
        print(server.address)
        for scope in "file", "appdata":
            token = Client(server.address).control("token", {"scope": f"https://www.googleapis.com/auth/drive.{scope}"})
            print(token["refresh_token"], flush=True)
        sys.stdin.read()
        """

    /// Steers the emulator, or asks it: its README says how.
    func control(_ what: String, _ value: String? = nil) async throws -> [String: Any] {
        let answer = try await HTTPStoreTransport().send(
            StoreRequest(
                method: value == nil ? "GET" : "POST", url: "\(address)/emulator/\(what)",
                body: value.map { .bytes(Array($0.utf8)) } ?? .none, answerBytesMax: 64 << 20))
        let shown = try JSONSerialization.jsonObject(with: Data(answer.body))
        return shown as? [String: Any] ?? ["all": shown]
    }

    /// What is in Drive, folders too.
    func files() async throws -> [[String: Any]] { try await control("files")["all"] as? [[String: Any]] ?? [] }

    /// A store in a folder of its own.
    ///
    /// - Parameter notes: of one device; nil for a new one.
    func store(
        _ folder: String = UUID().uuidString.lowercased(), space: DriveAddress.Space = .drive,
        filesPerList: Int = 1_000,
        notes: MemoryNotes? = nil, clock: StandingClock = StandingClock(),
        transport: (any StoreTransport) -> any StoreTransport = { $0 }
    ) throws -> DriveStore {
        let address = try DriveAddress("gdrive:\(folder)" + (space == .drive ? "" : "?space=appdata"))
        guard
            let client = GoogleClient(
                id: Self.client.id, secret: SecretBytes(copying: Array(Self.client.secret.utf8)))
        else { throw NotRunning() }
        let backoff = Backoff(triesMaxUnanswered: 9, clock: clock.waiting, dice: { _ in 0 })
        let now: @Sendable () -> UInt64 = { UInt64(Date().timeIntervalSince1970) }
        let refreshToken = SecretBytes(copying: Array((refreshTokens[space] ?? "").utf8))
        let tokens = GoogleTokens(
            GoogleGrant(client: client, refreshToken: refreshToken),
            GoogleOAuth(endpoints, Attempts(transport: HTTPStoreTransport(), backoff: backoff)), now: now,
            keep: { _ in true })
        return DriveStore(
            address,
            DriveClient(
                tokens, Attempts(transport: transport(HTTPStoreTransport()), backoff: backoff), endpoints: endpoints,
                clock: clock.waiting),
            notes: notes ?? MemoryNotes(), backoff: backoff, filesPerList: filesPerList, now: now)
    }

    static func store(transport: (any StoreTransport) -> any StoreTransport = { $0 }) throws -> DriveStore {
        try shared.get().store(transport: transport)
    }
}

/// What a device knows, in memory.
final class MemoryNotes: DriveNotes {
    private let bytes: Mutex<[UInt8]?>

    init(_ text: String? = nil) { bytes = Mutex(text.map { Array($0.utf8) }) }

    func read() -> [UInt8]? { bytes.withLock { $0 } }
    func change(_ change: ([UInt8]?) -> [UInt8]) { bytes.withLock { $0 = change($0) } }
    func write(_ bytes: [UInt8]) { self.bytes.withLock { $0 = bytes } }
    func forget() { bytes.withLock { $0 = nil } }
}
