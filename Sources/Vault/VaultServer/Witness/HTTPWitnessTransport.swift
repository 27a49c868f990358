import AsyncHTTPClient
import Dispatch
import NIOCore
import NIOHTTP1
import Synchronization
package import VaultCore

/// Witnesses over HTTP, all asked at the same time.
package struct HTTPWitnessTransport: WitnessTransport {
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.redirectConfiguration = .disallow
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    private let timeoutSeconds: Int64

    /// A witness that does not answer within the time is one that is down.
    package init(timeoutSeconds: Int64 = 3) { self.timeoutSeconds = timeoutSeconds }

    private struct Replies {
        var answers: [[UInt8]?]
        var doneCount = 0
    }

    package func exchange(
        _ request: [UInt8], with witnesses: [Witness], until isEnough: ([[UInt8]?]) -> Bool
    ) -> [[UInt8]?] {
        let box = Box(count: witnesses.count)
        let deadline = DispatchTime.now() + .seconds(Int(timeoutSeconds))
        for (index, witness) in witnesses.enumerated() { send(request, to: witness) { box.put($0, at: index) } }
        while true {
            let replies = box.replies
            if replies.doneCount == witnesses.count || isEnough(replies.answers) { return replies.answers }
            if box.news.wait(timeout: deadline) == .timedOut { return box.replies.answers }
        }
    }

    private func send(_ body: [UInt8], to witness: Witness, _ done: @escaping @Sendable ([UInt8]?) -> Void) {
        let base = witness.url.hasSuffix("/") ? String(witness.url.dropLast()) : witness.url
        guard
            let request = try? HTTPClient.Request(
                url: "\(base)/v1/witness", method: .POST,
                headers: ["content-type": "application/octet-stream"], body: .bytes(body))
        else { return done(nil) }
        Self.client.execute(
            request: request, delegate: ResponseAccumulator(request: request, maxBodySize: WitnessAnswer.bytesMax),
            deadline: .now() + .seconds(timeoutSeconds)
        ).futureResult.whenComplete { outcome in
            guard case .success(let response) = outcome, response.status == .ok, let bytes = response.body else {
                return done(nil)
            }
            done(Array(bytes.readableBytesView))
        }
    }

    /// Filled by the network's threads, emptied by the one that waits.
    private final class Box: Sendable {
        let news = DispatchSemaphore(value: 0)
        private let contents: Mutex<Replies>

        init(count: Int) { contents = Mutex(Replies(answers: Array(repeating: nil, count: count))) }

        var replies: Replies { contents.withLock { $0 } }

        func put(_ answer: [UInt8]?, at index: Int) {
            contents.withLock {
                $0.answers[index] = answer
                $0.doneCount += 1
            }
            news.signal()
        }
    }
}
