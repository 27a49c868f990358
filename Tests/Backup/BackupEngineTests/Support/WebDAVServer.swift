import Foundation
import ObjectStores
import Primitives
import TestSupport

/// Real servers of other makes, one of each for all tests of this process; they end with it.
enum WebDAVServer: String, Sendable {
    case wsgidav
    case apache

    private static let servers: [WebDAVServer: Result<PythonServer, any Error>] = {
        Dictionary(
            uniqueKeysWithValues: installed.map { server in
                (server, Result { try PythonServer("Clouds/webdav_servers.py", [server.rawValue]) })
            })
    }()

    private static let hasApache = access("/usr/sbin/apache2", X_OK) == 0

    /// Those that this machine has.
    static let installed = [WebDAVServer.wsgidav] + (hasApache ? [.apache] : [])
    /// Apache, or where it is not installed the other one.
    static let apacheOrOther = hasApache ? WebDAVServer.apache : .wsgidav

    /// `http://127.0.0.1:PORT/`, user, password
    private func words() throws -> [String] {
        let server = Self.servers[self] ?? .failure(PythonServer.NotRunning())
        let words = try server.get().line.split(separator: " ").map(String.init)
        guard words.count == 3 else { throw PythonServer.NotRunning() }
        return words
    }

    /// A store in a folder of its own, in another one that is made for it.
    func store(
        _ folder: String = UUID().uuidString, transport: (any StoreTransport) -> any StoreTransport = { $0 }
    ) throws -> WebDAVStore {
        let words = try words()
        return WebDAVStore(
            WebDAVClient(
                try WebDAVAddress("webdav:\(words[0])ü ber \(folder)/phone"),
                WebDAVCredentials(user: words[1], password: SecretBytes(copying: Array(words[2].utf8))),
                transport: transport(HTTPStoreTransport()),
                backoff: Backoff(triesMaxUnanswered: 9, clock: StandingClock().waiting, dice: { _ in 0 }),
                now: { UInt64(Date().timeIntervalSince1970) }))
    }
}
