import HTTPTypes
import NIOCore
import NIOHTTPTypes
import RecoveryProtocol

/// Answers `POST /v1/message` where HTTP's parts arrive, for this is nearly all that a vault is asked: through a router, a
/// stream of a body's parts and a writer of answers a message takes longer than to have its key checked.
///
/// Only a request of the exact size and without anything unusual is answered here. Everything else goes on to Hummingbird,
/// whole and in order, and is answered by `VaultHTTP`; the answers are the same.
final class MessageHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        /// The next request is looked at; `passed` of those before are not answered by Hummingbird yet.
        case open
        /// The body of a request that is answered here.
        case receiving(ByteBuffer?)
        /// What arrives meanwhile is held, and once there is something nothing more is read from the socket.
        case answering
    }

    private enum Held {
        case part(HTTPRequestPart)
        case event(Any)
        case error(any Error)
    }

    private let service: VaultService
    private var context: ChannelHandlerContext?
    private var tasks: EventLoopTasks?
    private var state = State.open
    private var passed = 0
    private var held = CircularBuffer<Held>()
    private var mustRead = false
    private var mustQuiesce = false

    init(service: VaultService) { self.service = service }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        tasks = EventLoopTasks(context.eventLoop)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .answering = state { return held.append(.part(unwrapInboundIn(data))) }
        take(unwrapInboundIn(data), context)
    }

    private func take(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.open, .head(let head)):
            if passed == 0, Self.isPlainMessage(head) {
                state = .receiving(nil)
            } else {
                passed += 1
                context.fireChannelRead(wrapInboundOut(part))
            }
        case (.receiving(let before), .body(var body)):
            guard var whole = before else { return state = .receiving(body) }
            state = .receiving(nil)
            whole.writeBuffer(&body)
            state = .receiving(whole)
        case (.receiving(let body), .end): answer(body, context)
        default: context.fireChannelRead(wrapInboundOut(part))
        }
    }

    /// As every client of the vault sends it. What has a query, another length, no length, asks whether it may go on, or wants
    /// the connection closed is not.
    static func isPlainMessage(_ head: HTTPRequest) -> Bool {
        guard head.method == .post, head.path == "/v1/message" else { return false }
        var lengths = 0
        for field in head.headerFields {
            switch field.name {
            case .contentLength:
                guard field.value == sealedLength else { return false }
                lengths += 1
            case .transferEncoding, .expect, .connection, .upgrade: return false
            default: break
            }
        }
        return lengths == 1
    }

    private static let sealedLength = "\(SealedRequest.byteCount)"

    // MARK: Answers

    private struct Answer: Sendable {
        let status: HTTPResponse.Status
        let requestID: String
        let body: [UInt8]
    }

    private func answer(_ body: ByteBuffer?, _ context: ChannelHandlerContext) {
        state = .answering
        let bytes = body.map { Array($0.readableBytesView) } ?? []
        service.messages.arrive()
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        Self.answer(bytes, by: service, on: tasks) { handler.value.write($0) }
    }

    /// On the loop's own thread, as everything that a connection does (`EventLoopChannel`).
    private static func answer(
        _ bytes: [UInt8], by service: VaultService, on tasks: EventLoopTasks?,
        _ write: @escaping @Sendable (Answer) -> Void
    ) {
        Task(executorPreference: tasks) {
            service.messages.begin()
            write(await answer(bytes, by: service))
        }
    }

    private static func answer(_ bytes: [UInt8], by service: VaultService) async -> Answer {
        let requestID = VaultHTTP.newRequestID()
        do throws(MessageRefusal) {
            let body = try await service.handle(bytes, requestID: requestID)
            return Answer(status: .ok, requestID: requestID, body: body)
        } catch {
            return Answer(status: error.status, requestID: requestID, body: [])
        }
    }

    private func write(_ answer: Answer) {
        // The connection may be gone.
        guard let context else { return }
        var fields = answer.status == .ok ? VaultHTTP.binaryFields(answer.requestID) : HTTPFields()
        fields[.contentLength] = "\(answer.body.count)"
        fields[.date] = HTTPDate.now()
        context.write(
            wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
        if !answer.body.isEmpty {
            context.write(wrapOutboundOut(.body(context.channel.allocator.buffer(bytes: answer.body))), promise: nil)
        }
        // Not before the client's side took it, and not if the connection ended: who reads no answers is asked for no more, and
        // what he sent is not charged. Else his answers would fill the memory.
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { self.goOn() }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    private func goOn() {
        guard let context else { return }
        state = .open
        release(context)
    }

    /// Goes on with what arrived while a request was answered, up to the next that is answered here.
    private func release(_ context: ChannelHandlerContext) {
        let hadHeld = !held.isEmpty
        while let next = held.first {
            if case .answering = state { return }
            held.removeFirst()
            switch next {
            case .part(let part): take(part, context)
            case .event(let event): context.fireUserInboundEventTriggered(event)
            case .error(let error): context.fireErrorCaught(error)
            }
        }
        if hadHeld { context.fireChannelReadComplete() }
        if case .answering = state { return }
        if mustQuiesce, case .open = state {
            mustQuiesce = false
            context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        if mustRead {
            mustRead = false
            context.read()
        }
    }

    // MARK: What else a connection does

    func read(context: ChannelHandlerContext) {
        // Not before there is something: to tell the system so, and the contrary after the answer, costs a microsecond.
        if case .answering = state, !held.isEmpty { mustRead = true } else { context.read() }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { passed = max(0, passed - 1) }
        context.write(data, promise: promise)
    }

    /// The vault stops, or the client will send nothing more: a request that is in work is answered first.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch (state, event) {
        case (.answering, is ChannelShouldQuiesceEvent), (.receiving, is ChannelShouldQuiesceEvent): mustQuiesce = true
        case (.answering, _): held.append(.event(event))
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// What follows a request does not read as HTTP: Hummingbird says so, after the request's own answer.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .answering = state { return held.append(.error(error)) }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .receiving = state { service.metrics.count(Metrics.messagesRefused, ["cut"]) }
        state = .open
        held.removeAll()
        context.fireChannelInactive()
    }
}
