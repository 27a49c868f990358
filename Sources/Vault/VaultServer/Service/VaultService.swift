import ByteCoding
package import Logging
import Primitives
package import RecoveryProtocol
import Synchronization
package import VaultCore

/// Why the vault does not start serving.
package enum VaultStartError: Error, Equatable {
    /// The vault belongs to no fleet yet: `coffer-vault fleet set`.
    case noFleet
    /// Its fleet file does not list its identity key.
    case notInFleet(VaultID)
    case ledger(LedgerError)
}

/// Why a message got no sealed reply. Nothing was charged, for nothing was read.
package enum MessageRefusal: Error, Equatable {
    /// Not a sealed message of this version.
    case malformed
    /// For another vault, or under a key that is over: fetch the key again.
    case unknownKey
    /// The vault has too much to do at the moment.
    case overloaded

    var metricWord: String {
        switch self {
        case .malformed: "malformed"
        case .unknownKey: "unknown_key"
        case .overloaded: "overloaded"
        }
    }
}

/// One vault, whatever carries its messages.
package final class VaultService: Sendable {
    private static let inFlightMax = 2048

    package let vaultID: VaultID
    package let metrics: VaultMetrics
    package let readiness = Readiness()
    let records: SealedRecords
    let ledger: Ledger
    /// When the records of a restored store are counted next.
    let nextCountSeconds = Mutex(UInt64(0))
    /// Records that are no account's: configuration, identity, anchor settings, restore point, tenants.
    let ownRecordCount = Mutex(0)
    private let channelKeys: ChannelKeys
    private let configuration: ConfigurationCache
    private let tenants: TenantDirectory
    private let verifier: TokenVerifier
    private let limiter = RequestLimiter()
    let messages = MessagesInWork()
    let clock: @Sendable () -> Moment
    private let logger: Logger

    /// Opens the vault that lies in the store, and does what time alone did since it last served.
    package init(
        records: SealedRecords, clock: @escaping @Sendable () -> Moment, logger: Logger,
        metrics: VaultMetrics = VaultMetrics()
    ) async throws(VaultStartError) {
        let identity: SigningKey
        do throws(LedgerError) {
            identity = try VaultAdministration(records: records).identity()
            vaultID = VaultID(identityKey: identity.verifyingKey)
            ledger = Ledger(records: records, vaultID: vaultID, metrics: metrics, messages: messages, clock: clock)
        } catch { throw .ledger(error) }
        let settled = await ledger.settleDue()
        if let error = settled.failure { throw .ledger(error) }
        self.records = records
        self.metrics = metrics
        self.clock = clock
        self.logger = logger
        configuration = ConfigurationCache(records: records, clock: clock)
        tenants = TenantDirectory(records: records, configuration: configuration, clock: clock)
        channelKeys = ChannelKeys(identity: identity)
        verifier = TokenVerifier(vaultID: vaultID)
        let fleet = try await fleet()
        guard fleet.vault(id: vaultID) != nil else { throw .notInFleet(vaultID) }
        // A backup that reads is no reason not to serve: what it holds up is done later.
        tell(settled)
    }

    private func fleet() async throws(VaultStartError) -> Fleet {
        let configuration: VaultConfiguration
        do throws(LedgerError) { configuration = try await self.configuration.configuration() } catch {
            throw .ledger(error)
        }
        guard let fleet = configuration.fleet else { throw .noFleet }
        return fleet
    }

    /// The body of `GET /v1/key`.
    package func keyAnnouncement() async throws -> [UInt8] {
        try channelKeys.current(fleetID: await fleet().id, at: clock()).announcement.encoded()
    }

    /// Expiry, destruction and erasure; to be called from time to time.
    package func settleDue() async { tell(await ledger.settleDue()) }

    private func tell(_ settled: Ledger.Settled) {
        for error in settled.damaged { log(.recordDamaged, ["reason": "\(error)"]) }
        for error in [settled.failure, settled.notErased].compactMap({ $0 }) {
            metrics.count(Metrics.ledgerFailures, [error.metricWord])
            log(.timedWorkFailed, ["reason": "\(error)"])
        }
    }

    func log(_ line: LogLine, _ metadata: Logger.Metadata) { logger.log(line, metadata) }

    /// Answers the body of a `POST /v1/message`. `requestID` stands in the lines that are logged about it.
    package func handle(_ bytes: [UInt8], requestID: String = "") async throws(MessageRefusal) -> [UInt8] {
        let start = ContinuousClock.now
        do throws(MessageRefusal) {
            let (reply, operation) = try await answer(bytes, requestID)
            metrics.observeRequest(since: start)
            logger.log(.request, ["request": "\(requestID)", "operation": "\(operation?.metricWord ?? "unreadable")"])
            return reply
        } catch {
            metrics.count(Metrics.messagesRefused, [error.metricWord])
            logger.log(.messageRefused, ["request": "\(requestID)", "reason": "\(error.metricWord)"])
            throw error
        }
    }

    private func answer(
        _ bytes: [UInt8], _ requestID: String
    ) async throws(MessageRefusal) -> (reply: [UInt8], operation: Operation?) {
        guard bytes.count == SealedRequest.byteCount, let sealed = try? SealedRequest(decoding: bytes) else {
            throw .malformed
        }
        guard messages.enter(most: Self.inFlightMax) else { throw .overloaded }
        defer { messages.leave() }
        guard sealed.vaultID == vaultID, let key = channelKeys.key(sealed.keyID, at: clock()) else {
            throw .unknownKey
        }
        let exchange: VaultExchange
        let request: Result<Request, ChannelError>
        do throws(ChannelError) {
            (exchange, request) = try metrics.timed(.open) { () throws(ChannelError) in try key.open(sealed) }
        } catch { throw .malformed }
        let operation = try? request.get().operation
        let reply = await reply(to: request, requestID)
        metrics.count(operation, answeredWith: reply)
        do {
            return try metrics.timed(.seal) {
                var generator = SystemRandomNumberGenerator()
                return (try exchange.seal(reply, using: &generator).encoded(), operation)
            }
        } catch {
            log(.replyUnencodable, ["request": "\(requestID)", "reason": "\(error)"])
            throw .overloaded
        }
    }

    private func reply(to request: Result<Request, ChannelError>, _ requestID: String) async -> Reply {
        switch request {
        case .failure: return .refused(.malformed)
        case .success(let request):
            do throws(Refused) {
                return try await perform(request, requestID)
            } catch {
                return .refused(error.refusal)
            }
        }
    }

    private func perform(_ request: Request, _ requestID: String) async throws(Refused) -> Reply {
        let (name, tenant) = try await authenticate(request.token, requestID)
        let key = records.sealer.account(name)
        let isOverRate = limiter.isOverRate(key, countMax: tenant.policy.requestsPerMinuteMax, at: clock())
        if isOverRate, !request.operation.isExemptFromRate { throw Refused(.busy(retryAfterSeconds: 60)) }
        let command = try command(for: request.operation)
        let outcome = await metrics.timed(.ledger) {
            await ledger.submit(AccountCommand(name: name, command: command, isOverRate: isOverRate, key: key))
        }
        switch outcome {
        case .answer(.reply(let reply)): return reply
        case .answer(.evaluate(let charged)): return .evaluated(metrics.timed(.evaluate) { evaluate(charged) })
        case .failed(let error):
            log(.ledgerFailed, ["request": "\(requestID)", "reason": "\(error)"])
            throw Refused(error == .conflict ? .busy(retryAfterSeconds: 1) : .unavailable)
        }
    }

    private func authenticate(
        _ token: [UInt8], _ requestID: String
    ) async throws(Refused) -> (AccountName, TenantDirectory.Entry) {
        var tenant: TenantDirectory.Entry?
        do {
            return try await authenticate(token, &tenant)
        } catch let refusal as TokenRefusal {
            metrics.count(Metrics.tokensRefused, [tenant?.name ?? "", refusal.metricWord])
            switch refusal {
            case .expired: throw Refused(.tokenExpired)
            case .wrongVault: throw Refused(.wrongVault)
            case .malformed, .unknownTenant, .badSignature, .outsideLifetime: throw Refused(.unauthorised)
            }
        } catch {
            log(.tenantUnreadable, ["request": "\(requestID)", "reason": "\(error)"])
            throw Refused(.unavailable)
        }
    }

    /// `tenant` is that which the token names, if it is a registered one, also when the token is refused.
    private func authenticate(
        _ token: [UInt8], _ tenant: inout TenantDirectory.Entry?
    ) async throws -> (AccountName, TenantDirectory.Entry) {
        var time = PartTime()
        defer { metrics.observe(.token, time) }
        let claimed = try time.add { () throws(TokenRefusal) in try TokenVerifier.read(token) }
        guard let found = try await tenants.tenant(claimed.name.tenant) else { throw TokenRefusal.unknownTenant }
        tenant = found
        let name = try time.add { () throws(TokenRefusal) in
            try verifier.check(claimed, keys: found.keys, wallSeconds: clock().wallSeconds)
        }
        return (name, found)
    }

    private func command(for operation: Operation) throws(Refused) -> Command {
        switch operation {
        case .status(let request): .status(request)
        case .prepare(let request): .prepare(try CheckedPrepare(request, at: vaultID))
        case .activate(let request): .activate(request)
        case .retire(let certificate): .retire(certificate)
        case .evaluate(let request): .evaluate(request)
        case .confirm(let request): .confirm(request)
        case .delete(let request): .delete(request)
        case .forgive(let request): .forgive(request)
        case .history(let request): .history(request)
        case .setHead(let request): .setHead(request)
        case .getHead(let request): .getHead(request)
        case .thaw(let request): .thaw(request)
        case .requestDeletion(let request): .requestDeletion(request)
        }
    }

    /// The multiplication, after the charge is in the store, in the caller's task: so they run in parallel.
    private func evaluate(_ charged: ChargedEvaluation) -> EvaluateReply {
        var generator = SystemRandomNumberGenerator()
        let evaluation = Evaluation(of: charged.blindedElement, share: charged.share, using: &generator)
        return EvaluateReply(
            evaluation: evaluation.element, proof: evaluation.proof, shareKey: evaluation.shareKey,
            envelope: charged.envelope, attemptsLeft: charged.attemptsLeft)
    }
}

extension Operation {
    /// Signed operations are never held up by a stranger's requests, and neither are exact repeats of an attempt,
    /// which only the ledger can tell from new ones.
    fileprivate var isExemptFromRate: Bool {
        switch self {
        case .status, .requestDeletion: false
        case .prepare(let request): request.replacement != nil
        case .activate, .retire, .evaluate, .confirm, .delete, .forgive, .history, .setHead, .getHead, .thaw: true
        }
    }
}
