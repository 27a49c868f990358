import Foundation
import ObjectStores
import Primitives

/// An emulator of CloudKit's web services (`Tests/Support/cloudkit_emulator`), which ends with this process.
final class ICloudServer: Sendable {
    struct NotUnderstood: Error {}

    /// One for all tests that do not change it.
    static let shared: Result<ICloudServer, any Error> = Result { try ICloudServer() }

    static let container = "iCloud.org.example.coffer"
    static let apiToken = SecretBytes(copying: Array("c0ffee00emulator".utf8))
    /// As CloudKit says that it has too much to do.
    static let busy = StoreAnswer(
        status: 429, body: Array(#"{"uuid": "u", "serverErrorCode": "THROTTLED", "reason": "r", "retryAfter": 1}"#.utf8)
    )

    let endpoint: CloudKitEndpoint
    private let server: PythonServer

    /// - Parameter settings: of the emulator, as JSON.
    init(settings: String = "{}") throws {
        server = try PythonServer(module: "cloudkit_emulator", ["--settings", settings])
        endpoint = try CloudKitEndpoint(onThisMachine: server.line)
    }

    /// Steers the emulator, or asks it: its README says how.
    @discardableResult
    func control(_ what: String, _ value: String? = nil) async throws -> Any {
        let answer = try await HTTPStoreTransport().send(
            StoreRequest(
                method: value == nil ? "GET" : "POST", url: "\(server.line)/emulator/\(what)",
                body: value.map { .bytes(Array($0.utf8)) } ?? .none, answerBytesMax: 64 << 20))
        return try JSONSerialization.jsonObject(with: Data(answer.body))
    }

    /// What is in all zones.
    func records() async throws -> [[String: Any]] { try await control("records") as? [[String: Any]] ?? [] }

    /// A new sign-in of the same person.
    func token() async throws -> SecretBytes {
        guard let token = (try await control("token", "{}") as? [String: Any])?["ckWebAuthToken"] as? String else {
            throw NotUnderstood()
        }
        return SecretBytes(copying: Array(token.utf8))
    }

    /// A store in a zone of its own.
    func store(
        _ zone: String = UUID().uuidString.lowercased(), tokens: (any WebTokens)? = nil,
        clock: StandingClock = StandingClock(),
        transport: (any StoreTransport) -> any StoreTransport = { $0 }
    ) throws -> CloudKitStore {
        let backoff = Backoff(triesMaxUnanswered: 9, clock: clock.waiting, dice: { _ in 0 })
        let line = CloudKitLine(
            transport(HTTPStoreTransport()), apiToken: Self.apiToken,
            tokens: tokens ?? ICloudDevice(self))
        return CloudKitStore(
            CloudKitClient(
                try CloudKitAddress("icloud:\(Self.container)/\(zone)"), line, assets: transport(HTTPStoreTransport()),
                endpoint: endpoint, backoff: backoff), now: { UInt64(Date().timeIntervalSince1970) })
    }
}

/// A device that is signed in when it is first asked.
final class ICloudDevice: WebTokens {
    let memory = MemoryWebTokens()
    private let server: ICloudServer

    init(_ server: ICloudServer) { self.server = server }

    var name: String { memory.name }

    func take() async throws(WebTokenFailure) -> any HeldWebToken {
        if memory.token == nil { try await signIn() }
        return memory
    }

    /// Anew, as a person does when the last one was lost.
    func signIn() async throws(WebTokenFailure) {
        guard let token = try? await server.token() else { throw WebTokenFailure("the emulator gives no token") }
        try memory.keep(token)
    }
}
