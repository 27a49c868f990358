import ArgumentParser

#if canImport(Glibc)
    import Glibc
    private let streamSocket = Int32(SOCK_STREAM.rawValue)
    private let systemConnect = Glibc.connect
    private let systemClose = Glibc.close
#else
    import Darwin
    private let streamSocket = SOCK_STREAM
    private let systemConnect = Darwin.connect
    private let systemClose = Darwin.close
#endif

/// HTTP/1.1 over connections that are kept open, in one thread: as little of the processor as a client can take. What it took would be
/// the vault's loss, even on a core of its own: two of a machine's cores may be one, or share what keeps them fast. It looks for answers
/// from time to time, for it would be the vault that wakes it for each.
struct Sender {
    enum Pace {
        /// As many at a time as there are connections.
        case saturated(connections: Int)
        /// Each request has its moment. Its latency counts from then, however late it could be sent: a vault that stalls
        /// does not put off the requests that would have met the stall.
        case rate(perSecond: Double)
    }

    struct Reply {
        var nanoseconds: UInt64 = 0
        var body: [UInt8] = []
    }

    private static let connectionsAtRate = 256
    private let port: UInt16

    init(port: UInt16) throws { self.port = port }

    func get(_ path: String) throws -> [UInt8] {
        try send([Array("GET \(path) HTTP/1.1\r\nHost: vault\r\n\r\n".utf8)], .saturated(connections: 1))[0].body
    }

    func send(_ requests: [[UInt8]], _ pace: Pace) throws -> [Reply] {
        var run: SenderRun
        switch pace {
        case .saturated(let connections): run = try SenderRun(port: port, requests, connections: connections, gap: 0)
        case .rate(let perSecond):
            run = try SenderRun(
                port: port, requests, connections: Self.connectionsAtRate, gap: UInt64(1e9 / perSecond))
        }
        defer { run.close() }
        return try run.perform()
    }
}

private struct SenderRun {
    private struct Connection {
        let file: Int32
        var request = 0
        var due: UInt64 = 0
        var received: [UInt8] = []
    }

    private static let patience: UInt64 = 10_000_000_000
    /// Between two looks for answers. At saturation a vault has many more requests in hand than it answers in that time; a latency is
    /// at most so much shorter than it is said to be.
    private static let lookGap: UInt64 = 500_000

    private let requests: [[UInt8]]
    private var replies: [Sender.Reply]
    private var connections: [Connection]
    private var idle: [Int]
    private var busy: [pollfd] = []
    private var busyConnections: [Int] = []
    private let gap: UInt64
    private var next = 0
    private var answered = 0
    private var lastHeard = Clock.now()
    private var buffer = [UInt8](repeating: 0, count: 16_384)

    init(port: UInt16, _ requests: [[UInt8]], connections count: Int, gap: UInt64) throws {
        self.requests = requests
        self.gap = gap
        replies = Array(repeating: Sender.Reply(), count: requests.count)
        connections = try (0..<min(count, max(requests.count, 1))).map { _ in
            Connection(file: try Self.connect(port))
        }
        idle = Array(connections.indices)
    }

    func close() { for connection in connections { _ = systemClose(connection.file) } }

    mutating func perform() throws -> [Sender.Reply] {
        let start = Clock.now()
        while answered < requests.count {
            let now = Clock.now()
            while next < requests.count, let connection = idle.first {
                let due = gap == 0 ? now : start + UInt64(next) * gap
                if due > now { break }
                // In turn, so that none waits until the vault closes it.
                idle.removeFirst()
                try send(on: connection, due: due)
            }
            rest(since: start)
            try receive()
        }
        return replies
    }

    /// Until it is time to look for answers, or the next request has its moment.
    private func rest(since start: UInt64) {
        var gap = Self.lookGap
        if self.gap > 0, next < requests.count, !idle.isEmpty {
            let (due, now) = (start + UInt64(next) * self.gap, Clock.now())
            gap = min(gap, due > now ? due - now : 0)
        }
        var time = timespec(tv_sec: 0, tv_nsec: Int(gap))
        nanosleep(&time, nil)
    }

    private mutating func send(on index: Int, due: UInt64) throws {
        connections[index].request = next
        connections[index].due = due
        connections[index].received.removeAll(keepingCapacity: true)
        let bytes = requests[next]
        // A request fits the socket's own buffer, and the connection is idle.
        guard write(connections[index].file, bytes, bytes.count) == bytes.count else {
            throw ValidationError("the vault took no request: errno \(errno)")
        }
        next += 1
        busy.append(pollfd(file: connections[index].file))
        busyConnections.append(index)
    }

    private mutating func receive() throws {
        let count = poll(&busy, nfds_t(busy.count), 0)
        guard count >= 0 || errno == EINTR else { throw ValidationError("poll: errno \(errno)") }
        let now = Clock.now()
        if count > 0 || busy.isEmpty { lastHeard = now }
        guard now - lastHeard < Self.patience else {
            throw ValidationError("the vault did not answer for \(Self.patience / 1_000_000_000) s")
        }
        var position = 0
        while position < busy.count {
            if busy[position].revents != 0, try read(busyConnections[position]) {
                busy.swapAt(position, busy.count - 1)
                busyConnections.swapAt(position, busy.count - 1)
                busy.removeLast()
                idle.append(busyConnections.removeLast())
            } else {
                position += 1
            }
        }
    }

    /// True when the answer is whole.
    private mutating func read(_ index: Int) throws -> Bool {
        let count = recv(connections[index].file, &buffer, buffer.count, 0)
        guard count > 0 else { throw ValidationError("the vault closed a connection: errno \(errno)") }
        connections[index].received += buffer[..<count]
        guard let body = try Self.body(of: connections[index].received) else { return false }
        replies[connections[index].request] = Sender.Reply(
            nanoseconds: Clock.now() - connections[index].due, body: body)
        answered += 1
        return true
    }

    /// Nil as long as there is more to come.
    private static func body(of bytes: [UInt8]) throws -> [UInt8]? {
        let mark: [UInt8] = [13, 10, 13, 10]
        guard let end = bytes.indices.first(where: { bytes[$0] == 13 && bytes[$0...].starts(with: mark) }) else {
            return nil
        }
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        guard head.hasPrefix("HTTP/1.1 200") else { throw ValidationError(head) }
        let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        guard let count = length.flatMap({ Int($0.dropFirst(15).filter(\.isNumber)) }) else {
            throw ValidationError("an answer without its length")
        }
        return bytes.count >= end + 4 + count ? Array(bytes[(end + 4)..<(end + 4 + count)]) : nil
    }

    private static func connect(_ port: UInt16) throws -> Int32 {
        let file = socket(AF_INET, streamSocket, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                systemConnect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard file >= 0, status == 0 else { throw ValidationError("no vault listens on port \(port)") }
        var on: Int32 = 1
        setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return file
    }
}

extension pollfd {
    fileprivate init(file: Int32) { self.init(fd: file, events: Int16(POLLIN), revents: 0) }
}
