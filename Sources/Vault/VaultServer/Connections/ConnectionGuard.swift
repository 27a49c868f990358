import NIOCore
import NIOHTTPTypes

/// Holds one connection to its deadlines. They run from the beginning of a phase, whatever arrives meanwhile: one byte
/// a minute keeps nothing open.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Who asks more before he is answered sends to fill the memory.
    private static let unansweredMax = 16

    private let bounds: VaultHTTP.Bounds
    private let connections: Connections
    private var id: UInt64?
    private var isFirst = true
    private var isReceiving = false
    /// Requests whose head was read and whose answer is not in the client's hands, or the system's for it.
    private var unansweredCount = 0
    private var isCut = false
    private var phaseStart = NIODeadline.distantPast
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantPast

    init(bounds: VaultHTTP.Bounds, connections: Connections) {
        self.bounds = bounds
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // All that the system holds is still read, and goes no further.
        guard !isCut else { return }
        switch unwrapInboundIn(data) {
        case .head:
            guard unansweredCount < Self.unansweredMax else {
                isCut = true
                return connections.close(context.channel, .pipelined)
            }
            isReceiving = true
            unansweredCount += 1
            beginPhase(context)
            if let id { connections.works(id) }
        case .body: break
        case .end:
            isReceiving = false
            beginPhase(context)
            rest()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        let written = promise ?? context.eventLoop.makePromise()
        // Not when it was handed over, but when the client's side took it: a slow reader is noticed.
        written.futureResult.assumeIsolated().whenSuccess { self.answered(context) }
        context.write(data, promise: written)
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard id == nil, timer == nil else { return }
        guard let admitted = connections.admit(context.channel) else { return }
        id = admitted
        phaseStart = context.eventLoop.now
        schedule(context)
    }

    private func end() {
        timer?.cancel()
        timer = nil
        if let id { connections.remove(id) }
        id = nil
    }

    private func answered(_ context: ChannelHandlerContext) {
        unansweredCount -= 1
        isFirst = false
        if !isReceiving { beginPhase(context) }
        rest()
    }

    /// Nothing is asked of the vault at the moment.
    private func rest() {
        guard !isReceiving, unansweredCount <= 0, let id else { return }
        connections.waits(id)
    }

    private var phase: (seconds: Int64, reason: Connections.Reason) {
        if isReceiving { return (bounds.requestSeconds, .slowRequest) }
        if unansweredCount > 0 { return (bounds.answerSeconds, .slowReader) }
        return isFirst ? (bounds.requestSeconds, .slowRequest) : (bounds.idleSeconds, .idle)
    }

    private var deadline: NIODeadline { phaseStart + .seconds(phase.seconds) }

    /// A later deadline is seen when the timer fires; an earlier one would be seen too late.
    private func beginPhase(_ context: ChannelHandlerContext) {
        phaseStart = context.eventLoop.now
        guard let timer, deadline < timerDeadline else { return }
        timer.cancel()
        schedule(context)
    }

    private func schedule(_ context: ChannelHandlerContext) {
        timerDeadline = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: timerDeadline) { self.look(context) }
    }

    private func look(_ context: ChannelHandlerContext) {
        guard context.eventLoop.now >= deadline else { return schedule(context) }
        connections.close(context.channel, phase.reason)
    }
}
