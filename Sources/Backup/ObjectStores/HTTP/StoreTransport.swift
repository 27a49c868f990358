package import AsyncHTTPClient
package import NIOCore
import NIOHTTP1

/// How stores that are reached by HTTP send one request and get one answer: over the network, or from a test.
package protocol StoreTransport: Sendable {
    /// One exchange, never repeated here. Redirections are answers like any others.
    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer
}

package struct StoreRequest: Sendable {
    package var method: String
    /// Percent-encoded already; it is sent as it is.
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: StoreBody
    /// A longer answer is refused.
    package var answerBytesMax: Int

    package init(
        method: String, url: String, headers: [(name: String, value: String)] = [], body: StoreBody = .none,
        answerBytesMax: Int
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.answerBytesMax = answerBytesMax
    }
}

/// What is sent; it can be sent again.
package enum StoreBody: Sendable {
    case none
    case bytes([UInt8])
    case spooled(SpooledBytes)
}

package struct StoreAnswer: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Whether all of the body came that was announced. Not every end of a connection is told as an error.
    package func isWhole(after method: String) -> Bool {
        guard method != "HEAD", status != 204, let announced = header("content-length") else { return true }
        return Int(announced) == body.count
    }

    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

package enum StoreTransportError: Error, Equatable, Sendable {
    /// No answer, or not the whole of it; what was asked for may have been done. The words say why.
    case broken(String)
    /// The other end is not proven to be who it should be: nothing was sent, and asking again changes nothing.
    case untrusted
    /// The answer is longer than any honest one.
    case tooLong
}

/// async-http-client. A connection on which nothing moves for as long as the stall limit is given up.
package struct HTTPStoreTransport: StoreTransport {
    private static let stallSeconds: Int64 = 60
    private let client: HTTPClient

    /// One client for the whole program, never shut down.
    private static let shared = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: configuration(stall: .seconds(stallSeconds)))

    package static func configuration(stall: TimeAmount) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 16
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .seconds(10)
        configuration.timeout.read = stall
        configuration.timeout.write = stall
        return configuration
    }

    package init(client: HTTPClient? = nil) { self.client = client ?? Self.shared }

    package func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        for (name, value) in request.headers { outgoing.headers.add(name: name, value: value) }
        switch request.body {
        case .none: break
        case .bytes(let bytes): outgoing.body = .bytes(bytes)
        case .spooled(let spooled): outgoing.body = .stream(spooled, length: .known(Int64(spooled.byteCount)))
        }
        do {
            // What stalls is cut by the limits above; how long a slow line takes is nobody's fault.
            let response = try await client.execute(outgoing, deadline: .distantFuture)
            let body = try await response.body.collect(upTo: request.answerBytesMax)
            return StoreAnswer(
                status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) },
                body: Array(body.readableBytesView))
        } catch is NIOTooManyBytesError {
            throw .tooLong
        } catch {
            throw Self.failure(error)
        }
    }

    private static func failure(_ error: any Error) -> StoreTransportError {
        let words = String(describing: error)
        if words.contains("CERTIFICATE_VERIFY_FAILED") || words.contains("UnableToValidateCertificate") {
            return .untrusted
        }
        switch error as? HTTPClientError {
        case .connectTimeout?: return .broken("no connection")
        case .readTimeout?, .writeTimeout?, .deadlineExceeded?: return .broken("nothing moves on the line")
        case .remoteConnectionClosed?: return .broken("the connection broke off")
        default:
            return .broken(words.hasPrefix("NIOConnectionError") ? "no connection" : "the connection broke off")
        }
    }
}
