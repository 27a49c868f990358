import ArgumentParser
import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import TestSupport
import VaultCore
import VaultServer

/// Evaluations against a vault that serves: all requests are sealed before the first is sent, so that the client's work
/// is no part of what is measured.
struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Sends evaluations that were made beforehand.")

    @Option(help: "The port on 127.0.0.1.") var port: UInt16
    @Option(help: "The vault's process.") var process: Int32
    @Option(help: "The fleet file.") var fleet: String
    @Option(help: "The issuer's private key.") var issuer: String
    @Option(help: "How many accounts the vault has.") var accounts: Int
    @Option(help: "How many of them are asked for.") var asked: Int
    @Option(help: "Connections that are kept open at saturation.") var connections = 64
    @Option(help: "Requests at saturation.") var requests: Int
    @Option(help: "Seconds at half of that rate.") var halfSeconds = 10.0
    @Option(help: "What is drawn.") var seed: UInt64 = 1

    private struct Report: Encodable {
        var perSecond = 0.0
        /// Microseconds of the vault's process for each evaluation.
        var processor = 0.0
        var halfRate = 0.0
        var halfProcessor = 0.0
        var halfRequests = 0
        var p50 = 0.0
        var p99 = 0.0
        var slowest = 0.0
    }

    func run() throws {
        let sender = try Sender(port: port)
        let maker = try RequestMaker(
            people: Accounts(fleetPath: fleet), issuer: issuer, announcement: sender.get("/v1/key"), accounts: accounts,
            asked: asked, seed: seed)
        var report = Report()
        // Every account that is asked for later is in memory by then, as are the vault's own tables.
        _ = try measured(sender, maker.requests(asked), .saturated(connections: connections))
        let full = try measured(sender, maker.requests(requests), .saturated(connections: connections))
        report.perSecond = Double(requests) / full.seconds
        report.processor = full.processor
        report.halfRate = report.perSecond / 2
        let half = try measured(
            sender, maker.requests(max(1, Int(report.halfRate * halfSeconds))), .rate(perSecond: report.halfRate))
        report.halfRequests = half.latencies.count
        report.halfProcessor = half.processor
        report.p50 = half.latencies.milliseconds(at: 0.5)
        report.p99 = half.latencies.milliseconds(at: 0.99)
        report.slowest = half.latencies.milliseconds(at: 1)
        try Output.json(report)
    }

    private func measured(
        _ sender: Sender, _ requests: [PreparedRequest], _ pace: Sender.Pace
    ) throws -> (seconds: Double, processor: Double, latencies: [UInt64]) {
        let processorBefore = try Clock.processorSeconds(of: process)
        let began = Clock.now()
        let replies = try sender.send(requests.map(\.bytes), pace)
        let seconds = Double(Clock.now() - began) / 1e9
        let processor = try Clock.processorSeconds(of: process) - processorBefore
        for (request, reply) in zip(requests, replies) { try request.check(reply.body) }
        return (seconds, processor * 1e6 / Double(max(requests.count, 1)), replies.map(\.nanoseconds))
    }
}

/// A sealed request, and what opens its reply for some of them.
struct PreparedRequest {
    let bytes: [UInt8]
    fileprivate let exchange: ClientExchange?

    /// What was measured must have been an evaluation.
    fileprivate func check(_ body: [UInt8]) throws {
        guard body.count == SealedReply.byteCount else { throw ValidationError("an answer has \(body.count) bytes") }
        guard let exchange else { return }
        let reply = try exchange.open(try SealedReply(decoding: body))
        guard case .evaluated = reply else { throw ValidationError("the vault answered \(reply)") }
    }
}

struct RequestMaker {
    /// Keys of locked pages are few.
    private static let checkedOneOf = 8

    private let people: Accounts
    private let issuer: TokenIssuer
    private let announcement: KeyAnnouncement
    private let accounts: Int
    private let asked: Int
    private let generator: Counter

    /// How many requests were made so far, so that each goes to the next account.
    private final class Counter {
        var made = 0
        var random: SeededGenerator
        init(seed: UInt64) { random = SeededGenerator(seed: seed) }
    }

    init(people: Accounts, issuer: String, announcement: [UInt8], accounts: Int, asked: Int, seed: UInt64) throws {
        self.people = people
        self.issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        self.announcement = try KeyAnnouncement(decoding: announcement)
        self.accounts = accounts
        self.asked = asked
        generator = Counter(seed: seed)
    }

    func requests(_ count: Int) throws -> [PreparedRequest] { try (0..<count).map { _ in try next() } }

    private func next() throws -> PreparedRequest {
        defer { generator.made += 1 }
        let number = Accounts.asked(generator.made % asked, of: asked, among: accounts)
        let token = issuer.token(
            tenant: Accounts.tenant, account: try Accounts.name(number).account, vaultID: announcement.vaultID,
            issuedSeconds: UInt64(Date().timeIntervalSince1970), lifetimeSeconds: 24 * 3600)
        let request = Request(
            token: Array(token.utf8),
            operation: .evaluate(
                EvaluateRequest(
                    serial: Accounts.serial, registrationID: people.registration.id,
                    attemptID: .random(using: &generator.random),
                    blindedElement: Scalar.random(using: &generator.random).timesGenerator)))
        let exchange = try ClientExchange(request, to: announcement)
        let body = try exchange.sealed.encoded()
        let head =
            "POST /v1/message HTTP/1.1\r\nHost: vault\r\nContent-Type: application/octet-stream\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        return PreparedRequest(
            bytes: Array(head.utf8) + body,
            exchange: generator.made.isMultiple(of: Self.checkedOneOf) ? exchange : nil)
    }
}
