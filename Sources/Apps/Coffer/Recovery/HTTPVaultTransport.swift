package import AsyncHTTPClient
import NIOCore
import NIOHTTP1
package import RecoveryProtocol

/// Vaults over HTTP. A vault's URLs are tried in turn: one vault may be several machines.
package struct HTTPVaultTransport: VaultTransport {
    private let client: HTTPClient
    private let timeout: TimeAmount

    /// One client for the whole program, never shut down. A vault that is down says so at once, and the others are asked: so
    /// no connection is tried again and again behind the caller's back.
    private static let sharedClient: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(5)
        configuration.redirectConfiguration = .disallow
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    package init(client: HTTPClient? = nil, timeoutSeconds: Int64 = 15) {
        let client = client ?? Self.sharedClient
        self.client = client
        timeout = .seconds(timeoutSeconds)
    }

    /// An announcement is a little over 1,300 bytes, a sealed reply 2,096: whoever sends more is not a vault.
    private static let answerBytesMax = 4_096

    package func announcement(of vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        try await exchange(.GET, "v1/key", body: nil, with: vault)
    }

    package func send(_ message: [UInt8], to vault: Fleet.Vault) async throws(VaultTransportError) -> [UInt8] {
        try await exchange(.POST, "v1/message", body: message, with: vault)
    }

    private func exchange(
        _ method: HTTPMethod, _ path: String, body: [UInt8]?, with vault: Fleet.Vault
    ) async throws(VaultTransportError) -> [UInt8] {
        var last = VaultTransportError.unreachable("it has no URL")
        for url in vault.urls {
            do throws(VaultTransportError) {
                return try await exchange(method, url: url.hasSuffix("/") ? url + path : "\(url)/\(path)", body: body)
            } catch {
                // If one machine lets the time pass, the others' broken connections do not make it worth asking again.
                if last != .timedOut { last = error }
            }
        }
        throw last
    }

    private func exchange(
        _ method: HTTPMethod, url: String, body: [UInt8]?
    ) async throws(VaultTransportError) -> [UInt8] {
        var request = HTTPClientRequest(url: url)
        request.method = method
        if let body {
            request.body = .bytes(body)
            request.headers.add(name: "content-type", value: "application/octet-stream")
        }
        let response: HTTPClientResponse
        do {
            response = try await client.execute(request, timeout: timeout)
        } catch { throw Self.isTimeout(error) ? .timedOut : .unreachable("no connection") }
        guard response.status == .ok else { throw .refused(status: Int(response.status.code)) }
        do {
            let buffer = try await response.body.collect(upTo: Self.answerBytesMax)
            return Array(buffer.readableBytesView)
        } catch { throw Self.isTimeout(error) ? .timedOut : .unreachable("its answer broke off") }
    }

    private static func isTimeout(_ error: any Error) -> Bool {
        guard let error = error as? HTTPClientError else { return false }
        return [.connectTimeout, .deadlineExceeded, .readTimeout].contains(error)
    }
}
