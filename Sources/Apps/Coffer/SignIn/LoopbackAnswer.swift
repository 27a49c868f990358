import Foundation

/// Waits on this machine for the one request by which a browser brings back a person's answer (RFC 8252, section 7.3).
///
/// Anything on this machine may ask here, and browsers ask for more than they are sent for: who does not bring what is waited for
/// gets a short answer, holds nobody up, and ends nothing.
final class LoopbackAnswer: Sendable {
    /// What a request is worth.
    enum Worth<Answer: Sendable>: Sendable {
        case answer(Answer)
        case foreign
    }

    private static let headBytesMax = 16 << 10
    private static let connectionsMax = 32
    private static let pollMilliseconds: Int32 = 500

    private let listener: Int32
    let port: UInt16

    /// Listens on this machine's own address alone.
    ///
    /// - Parameter wanted: the port; 0 for one that is free.
    init(port wanted: UInt16 = 0) throws(CofferError) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = wanted.bigEndian
        // Connections of a moment ago do not keep a port from being listened at again.
        var isReused: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isReused, socklen_t(MemoryLayout<Int32>.size))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                listener >= 0 && bind(listener, $0, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &size) == 0
            }
        }
        guard isListening else {
            let reason = String(cString: strerror(errno))
            let port = wanted == 0 ? "any port" : "port \(wanted)"
            if listener >= 0 { close(listener) }
            throw CofferError(
                .storeSignIn,
                "This machine does not let \(port) be listened at for your browser: \(reason). Nothing was kept.",
                advice: "Sign in with --device instead.")
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(listener) }

    /// The first answer that is one; nil if none comes in time.
    ///
    /// - Parameter judge: gets what follows `GET ` in a request's first line.
    func wait<Answer: Sendable>(
        seconds: Double, _ judge: @escaping @Sendable (_ target: String) -> Worth<Answer>
    ) async -> Answer? {
        await withCheckedContinuation { continuation in
            // It waits by blocking, so not on a thread that others need.
            Thread.detachNewThread {
                continuation.resume(returning: self.serve(until: Date(timeIntervalSinceNow: seconds), judge))
            }
        }
    }

    private func serve<Answer>(until end: Date, _ judge: (String) -> Worth<Answer>) -> Answer? {
        var heads: [Int32: [UInt8]] = [:]
        defer { heads.keys.forEach { close($0) } }
        while Date() < end {
            for connection in ready(among: Array(heads.keys)) {
                guard connection != listener else {
                    accept(into: &heads)
                    continue
                }
                guard heads[connection] != nil, let target = read(connection, &heads[connection, default: []]) else {
                    continue
                }
                heads[connection] = nil
                defer { close(connection) }
                guard let target else { continue }
                if case .answer(let answer) = judge(target) {
                    Self.reply(
                        connection, "200 OK", "Your answer has reached Coffer. Look there; this page can be closed.")
                    return answer
                }
                Self.reply(connection, "404 Not Found", "Coffer waits for something else here.")
            }
        }
        return nil
    }

    private func ready(among connections: [Int32]) -> [Int32] {
        var waiting = ([listener] + connections).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&waiting, nfds_t(waiting.count), Self.pollMilliseconds) > 0 else { return [] }
        return waiting.filter { $0.revents != 0 }.map(\.fd)
    }

    private func accept(into heads: inout [Int32: [UInt8]]) {
        let connection = Foundation.accept(listener, nil, nil)
        guard connection >= 0 else { return }
        // Browsers open connections that they may never use: of too many one goes.
        if heads.count >= Self.connectionsMax, let idle = heads.keys.min() {
            close(idle)
            heads[idle] = nil
        }
        heads[connection] = []
    }

    /// Reads on.
    ///
    /// - Returns: nil while there is no whole first line; then the request's target, or nil in it if it is none.
    private func read(_ connection: Int32, _ head: inout [UInt8]) -> String?? {
        var part = [UInt8](repeating: 0, count: 4_096)
        let count = recv(connection, &part, part.count, Int32(MSG_DONTWAIT))
        if count < 0, errno == EAGAIN || errno == EINTR { return nil }
        guard count > 0 else { return .some(nil) }
        head += part[..<count]
        guard let end = head.firstRange(of: Array("\r\n\r\n".utf8)) else {
            return head.count > Self.headBytesMax ? .some(nil) : nil
        }
        let line = String(decoding: head[..<end.lowerBound].prefix { $0 != 0x0d }, as: UTF8.self)
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[0] == "GET", words[2].hasPrefix("HTTP/1.") else { return .some(nil) }
        return String(words[1])
    }

    private static func reply(_ connection: Int32, _ status: String, _ words: String) {
        let page = "<!doctype html><title>Coffer</title><p>\(words)</p>\n"
        let answer =
            "HTTP/1.1 \(status)\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: \(page.utf8.count)\r\n"
            + "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n"
            + "Connection: close\r\n\r\n\(page)"
        let bytes = Array(answer.utf8)
        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        shutdown(connection, Int32(SHUT_WR))
    }
}
