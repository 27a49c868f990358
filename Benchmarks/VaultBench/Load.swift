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
    @Option(help: "How many requests were sent before: the next account in line comes first.") var made = 0
    @Option(help: "How many requests are sent.") var requests: Int
    @Option(help: "Connections that are kept open at saturation.") var connections = 64
    @Option(help: "How many each second, each at its moment; without it each connection sends when it has its answer.")
    var rate: Double?

    private struct Report: Encodable {
        let perSecond: Double
        /// Microseconds of the vault's process for each evaluation.
        let processor: Double
        /// Milliseconds.
        let p50: Double
        let p99: Double
        let slowest: Double
    }

    func run() throws {
        let sender = try Sender(port: port)
        let maker = try RequestMaker(
            people: Accounts(fleetPath: fleet), issuer: issuer, announcement: sender.get("/v1/key"), accounts: accounts,
            asked: asked, made: made)
        let pace = rate.map { Sender.Pace.rate(perSecond: $0) } ?? .saturated(connections: connections)
        let sent = try measured(sender, maker.requests(requests), pace)
        try Output.json(
            Report(
                perSecond: Double(requests) / sent.seconds, processor: sent.processor,
                p50: sent.latencies.milliseconds(at: 0.5), p99: sent.latencies.milliseconds(at: 0.99),
                slowest: sent.latencies.milliseconds(at: 1)))
    }

    private func measured(
        _ sender: Sender, _ requests: [PreparedRequest], _ pace: Sender.Pace
    ) throws -> (seconds: Double, processor: Double, latencies: [UInt64]) {
        let processorBefore = try Clock.processor(of: process)
        let began = Clock.now()
        let replies = try sender.send(requests.map(\.bytes), pace)
        let seconds = Double(Clock.now() - began) / 1e9
        let processor = Double(try Clock.processor(of: process) - processorBefore) / 1e3
        for (request, reply) in zip(requests, replies) { try request.check(reply.body) }
        return (seconds, processor / Double(max(requests.count, 1)), replies.map(\.nanoseconds))
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
        var made: Int
        var random: SeededGenerator
        /// What is drawn differs from what was drawn for those made before: a repeated attempt is not charged.
        init(made: Int) {
            self.made = made
            random = SeededGenerator(seed: UInt64(made) + 1)
        }
    }

    init(people: Accounts, issuer: String, announcement: [UInt8], accounts: Int, asked: Int, made: Int) throws {
        self.people = people
        self.issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        self.announcement = try KeyAnnouncement(decoding: announcement)
        self.accounts = accounts
        self.asked = asked
        generator = Counter(made: made)
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
