import ObjectStores
import Synchronization
import TestSupport

/// A line on which one request in five fails, in one of the ways that lines and busy servers have.
final class FaultyTransport: StoreTransport {
    private let transport: any StoreTransport
    private let busy: StoreAnswer
    private let generator: Mutex<SeededGenerator>
    private let faults = Mutex(0)

    var faultCount: Int { faults.withLock { $0 } }

    /// - Parameter busy: what a server says in its own way that has too much to do, or to which a request did not come in time.
    init(
        _ transport: any StoreTransport, seed: UInt64,
        busy: StoreAnswer = StoreAnswer(status: 400, body: FaultyTransport.error("RequestTimeout"))
    ) {
        self.transport = transport
        self.busy = busy
        generator = Mutex(SeededGenerator(seed: seed))
    }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        let fault = generator.withLock { Int.random(in: 0..<30, using: &$0) }
        if fault < 6 { faults.withLock { $0 += 1 } }
        switch fault {
        case 0: return StoreAnswer(status: 500)
        case 1: return StoreAnswer(status: 503, headers: [("Retry-After", "1")], body: Self.error("SlowDown"))
        case 2: throw .broken("no connection")
        case 3: return busy
        case 4:
            // It is done, and the answer is lost.
            _ = try await transport.send(request)
            throw .broken("the connection broke off")
        case 5:
            var answer = try await transport.send(request)
            guard answer.header("content-length") != nil, !answer.body.isEmpty || answer.lentBytes > 0 else {
                throw .broken("the connection broke off")
            }
            answer.lentBytes /= 2
            if !answer.body.isEmpty { answer.body.removeLast(answer.body.count / 2 + 1) }
            return answer
        default: return try await transport.send(request)
        }
    }

    static func error(_ code: String, _ more: String = "") -> [UInt8] {
        Array(
            "<?xml version=\"1.0\"?>\n<Error><Code>\(code)</Code><Message>m</Message>\(more)</Error>".utf8)
    }
}

/// Answers as a test says; keeps what was asked.
final class ScriptedTransport: StoreTransport {
    private let answers: Mutex<[Result<StoreAnswer, StoreTransportError>]>
    private let asked = Mutex<[StoreRequest]>([])

    init(_ answers: [Result<StoreAnswer, StoreTransportError>]) { self.answers = Mutex(answers) }

    var requests: [StoreRequest] { asked.withLock { $0 } }

    func send(_ request: StoreRequest) async throws(StoreTransportError) -> StoreAnswer {
        asked.withLock { $0.append(request) }
        let answer = answers.withLock { $0.isEmpty ? .failure(.broken("nothing more")) : $0.removeFirst() }
        return try answer.get()
    }
}
