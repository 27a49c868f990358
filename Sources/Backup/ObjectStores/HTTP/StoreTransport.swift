import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

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
    /// Where a part of an object goes as it comes, if the answer is just that part.
    package var lent: LentMemory?
    /// Told of an answer's status and headers as soon as they are there: the rest may be lost on its way.
    package var heard: (@Sendable (StoreAnswer) -> Void)?

    package init(
        method: String, url: String, headers: [(name: String, value: String)] = [], body: StoreBody = .none,
        answerBytesMax: Int, lent: LentMemory? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.answerBytesMax = answerBytesMax
        self.lent = lent
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
    /// How much of the body lies in the memory that was lent: all of it, or nothing.
    package var lentBytes = 0

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Whether all of the body came that was announced. Not every end of a connection is told as an error.
    package func isWhole(after method: String) -> Bool {
        guard method != "HEAD", status != 204, let announced = header("content-length") else { return true }
        return Int(announced) == body.count + lentBytes
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
    /// What this device was told to trust cannot be read: nothing was sent.
    case noCertificates(file: String)
    /// Something on this device stands in the way: nothing was sent. The words say what.
    case notSent(String)
}

/// async-http-client. A connection on which nothing moves for as long as the stall limit is given up; how long a slow line takes is
/// nobody's fault.
///
/// The client's own limits do not serve here: the one for writing rests while the line takes nothing, and the one for reading
/// counts from when the last byte was handed to the system, which may have megabytes still to send.
package struct HTTPStoreTransport: StoreTransport {
    private static let stallLimit = Duration.seconds(60)
    /// What the system takes of a connection before it is sent. Eight of them fill a line of 200 Mbit/s over 100 ms.
    private static let sendBufferBytes = 256 << 10
    private let stall: Duration

    /// Two clients for the whole program, never shut down: to read certificates costs 1.5 MB of memory where `SSL_CERT_FILE` names the
    /// system's, and a server on a line without TLS is asked for none.
    private static let secured = shared(tls: OwnCertificates.tls)
    private static let plain = shared(tls: nil)

    /// On one event loop, which carries more than any line.
    private static func shared(tls: TLSConfiguration?) -> HTTPClient {
        HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton.any()),
            configuration: configuration(tls: tls))
    }

    private static func configuration(tls: TLSConfiguration?) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = tls
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 16
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .seconds(10)
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.setOption(.socketOption(.so_sndbuf), value: sendBufferBytes).recover { _ in }
        }
        return configuration
    }

    /// - Parameter stall: how long nothing may move.
    package init(stall: Duration = Self.stallLimit) { self.stall = stall }

    package func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        let isSecured = request.url.hasPrefix("https:")
        if isSecured, let file = OwnCertificates.unreadableFile { throw .noCertificates(file: file) }
        do {
            return try await watched(request, by: isSecured ? Self.secured : Self.plain)
        } catch let error as StoreTransportError {
            throw error
        } catch {
            throw Self.failure(error)
        }
    }

    private func watched(_ request: StoreRequest, by client: HTTPClient) async throws -> StoreAnswer {
        let watch = LineWatch(stall)
        return try await withThrowingTaskGroup(of: StoreAnswer?.self) { group in
            group.addTask { try await Self.exchange(request, by: client, watch) }
            group.addTask {
                try await watch.untilStalled()
                return nil
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() ?? nil else {
                throw StoreTransportError.broken("nothing moves on the line")
            }
            return answer
        }
    }

    private static func exchange(
        _ request: StoreRequest, by client: HTTPClient, _ watch: LineWatch
    ) async throws -> StoreAnswer {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = HTTPMethod(rawValue: request.method)
        for (name, value) in request.headers { outgoing.headers.add(name: name, value: value) }
        if let content = WatchedParts.Content(request.body) {
            outgoing.body = .stream(
                WatchedParts(content, watch, client.eventLoopGroup.any()), length: .known(Int64(request.body.byteCount))
            )
        }
        let response = try await client.execute(outgoing, deadline: .distantFuture)
        watch.moved()
        var answer = StoreAnswer(
            status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) })
        request.heard?(answer)
        var body = AnswerBody(of: answer, to: request)
        for try await part in response.body {
            watch.moved()
            try part.withUnsafeReadableBytes { part throws(StoreTransportError) in try body.append(part) }
        }
        answer.body = body.bytes
        answer.lentBytes = body.lentBytes
        return answer
    }

    private static let unreachable = [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ETIMEDOUT]

    private static func failure(_ error: any Error) -> StoreTransportError {
        if error is CancellationError { return .broken("it was stopped") }
        if let code = (error as? IOError)?.errnoCode, Self.unreachable.contains(code) {
            return .broken("no connection")
        }
        if error is SocketAddressError { return .broken("its name is not known") }
        let words = String(describing: error)
        if ["CERTIFICATE_VERIFY_FAILED", "UnableToValidateCertificate", "failedToValidateHostname"].contains(
            where: words.contains)
        {
            return .untrusted
        }
        switch error as? HTTPClientError {
        case .connectTimeout?: return .broken("no connection")
        case .readTimeout?, .writeTimeout?, .deadlineExceeded?: return .broken("nothing moves on the line")
        case .cancelled?: return .broken("it was stopped")
        case .remoteConnectionClosed?: return .broken("the connection broke off")
        default:
            return .broken(words.contains("NIOConnectionError") ? "no connection" : "the connection broke off")
        }
    }
}
