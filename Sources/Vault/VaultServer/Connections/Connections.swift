import NIOCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The connections that are open, and which of them may go when there are too many.
///
/// When all places are taken a new connection gets the place of the one that has waited longest for its client's next
/// request: whoever opens ten thousand and says nothing crowds out his own, and nobody who is being answered.
final class Connections: Sendable {
    /// Why a connection was closed by the vault; the word of the metric's label.
    enum Reason: String, Sendable {
        case idle
        case slowRequest = "slow_request"
        case slowReader = "slow_reader"
        case pipelined
        case perAddress = "per_address"
        case crowdedOut = "crowded_out"
        case full
    }

    fileprivate struct Entry: Sendable {
        let channel: any Channel
        let address: String
        /// Since which turn it waits; nil while a request is being read or answered.
        var turn: UInt64?
    }

    fileprivate struct Contents: Sendable {
        var entries: [UInt64: Entry] = [:]
        var perAddress: [String: Int] = [:]
        /// Who began to wait, in order. An entry counts only if it still waits since that turn.
        var line: [(id: UInt64, turn: UInt64)] = []
        var lineStart = 0
        var next: UInt64 = 0
    }

    private enum Admission { case admitted(UInt64, crowdedOut: (any Channel)?), refused(Reason) }

    private let bounds: VaultHTTP.Bounds
    private let metrics: VaultMetrics
    private let open: MetricFamily
    private let closed: MetricFamily
    private let contents = Mutex(Contents())

    init(
        bounds: VaultHTTP.Bounds, metrics: VaultMetrics, open: MetricFamily = Metrics.connections,
        closed: MetricFamily = Metrics.connectionsClosed
    ) {
        self.bounds = bounds
        self.metrics = metrics
        (self.open, self.closed) = (open, closed)
    }

    /// How long the line of those that wait is, with those that no longer do.
    var lineCount: Int { contents.withLock { $0.line.count } }

    var count: Int { contents.withLock { $0.entries.count } }

    /// The number by which the connection is known from now on; nil if it is to be closed at once.
    func admit(_ channel: any Channel) -> UInt64? {
        let address = channel.remoteAddress.map(Self.place) ?? ""
        let admission = contents.withLock { admit(channel, address, into: &$0) }
        showCount()
        switch admission {
        case .admitted(let id, let crowdedOut):
            if let crowdedOut { close(crowdedOut, .crowdedOut) }
            return id
        case .refused(let reason):
            close(channel, reason)
            return nil
        }
    }

    private func admit(_ channel: any Channel, _ address: String, into contents: inout Contents) -> Admission {
        if let most = bounds.connectionsMax(from: address), contents.perAddress[address] ?? 0 >= most {
            return .refused(.perAddress)
        }
        var crowdedOut: (any Channel)?
        if contents.entries.count >= bounds.connectionsMax {
            guard let id = contents.longestWaiting() else { return .refused(.full) }
            crowdedOut = contents.remove(id)?.channel
        }
        contents.next += 1
        let id = contents.next
        contents.entries[id] = Entry(channel: channel, address: address, turn: nil)
        contents.perAddress[address, default: 0] += 1
        contents.wait(id)
        return .admitted(id, crowdedOut: crowdedOut)
    }

    /// It waits for its client's next request.
    func waits(_ id: UInt64) { contents.withLock { $0.wait(id) } }

    /// A request is being read or answered.
    func works(_ id: UInt64) { contents.withLock { $0.entries[id]?.turn = nil } }

    func remove(_ id: UInt64) {
        contents.withLock { _ = $0.remove(id) }
        showCount()
    }

    func close(_ channel: any Channel, _ reason: Reason) {
        metrics.count(closed, [reason.rawValue])
        channel.close(mode: .all, promise: nil)
    }

    private func showCount() { metrics.set(open, to: Double(count)) }

    /// Who shares a limit: an IPv4 address, or the 64 bits of an IPv6 address that a provider hands out whole.
    static func place(_ address: SocketAddress) -> String {
        guard let text = address.ipAddress else { return "" }
        guard case .v6 = address, text != "::1" else { return text }
        let mapped = "::ffff:"
        if text.hasPrefix(mapped), text.contains(".") { return String(text.dropFirst(mapped.count)) }
        var packed = in6_addr()
        guard inet_pton(AF_INET6, text, &packed) == 1 else { return text }
        return withUnsafeBytes(of: packed) { $0.prefix(8).map { "\($0)." }.joined() + "/64" }
    }
}

extension Connections.Contents {
    fileprivate mutating func wait(_ id: UInt64) {
        guard entries[id] != nil else { return }
        next += 1
        entries[id]?.turn = next
        line.append((id, next))
        // What no longer waits goes from time to time, so that the line is never much longer than what it stands for.
        if line.count - lineStart > 2 * entries.count + 1024 || lineStart > 2 * entries.count + 1024 {
            line = line[lineStart...].filter { entries[$0.id]?.turn == $0.turn }
            lineStart = 0
        }
    }

    fileprivate mutating func longestWaiting() -> UInt64? {
        while lineStart < line.count {
            let (id, turn) = line[lineStart]
            lineStart += 1
            if entries[id]?.turn == turn { return id }
        }
        return nil
    }

    fileprivate mutating func remove(_ id: UInt64) -> Connections.Entry? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        if let count = perAddress[entry.address] { perAddress[entry.address] = count > 1 ? count - 1 : nil }
        return entry
    }
}
