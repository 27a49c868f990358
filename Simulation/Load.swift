import ArgumentParser
import ByteCoding
import Coffer
import FleetFiles
import Foundation
import Primitives
import RecoveryProtocol
import TestSupport

/// Keeps real vaults busy over HTTP while somebody kills them, and compares each with what it must have kept.
struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Keeps the vaults of a fleet busy until its input ends; then compares them once more, and says how much it did."
    )

    @Option(help: "The fleet file.") var fleet: String
    @Option(help: "Seed of everything that is drawn.") var seed: UInt64
    @Option(help: "Attempts per registration, as the tenant's policy says.") var budget: Int
    @Argument(help: "Files of tokens, one for each account: TENANT/ACCOUNT=FILE.") var accounts: [String]

    func run() async throws {
        let text = try String(contentsOfFile: fleet, encoding: .utf8)
        let fleet = try FleetFile(text: text).fleet
        let ending = Ending()
        ending.watchInput()
        let totals = try await withThrowingTaskGroup(of: Totals.self) { group in
            for (position, account) in accounts.enumerated() {
                let (name, tokens) = try Self.account(account)
                for vault in fleet.currentVaults {
                    guard let token = tokens["\(vault.id)"] else { continue }
                    let seed = seed &* 1000 &+ UInt64(position * 16) + UInt64(vault.index)
                    let plaything = try Plaything(
                        fleet: fleet, vault: vault, name: name, token: token, seed: seed, budget: budget)
                    group.addTask { try await plaything.play(until: ending) }
                }
            }
            return try await group.reduce(into: Totals()) { $0.add($1) }
        }
        print(
            "\(totals.answers) answers, \(totals.charges) charges, \(totals.changes) registrations, \(totals.failures) requests without an answer"
        )
    }

    private static func account(_ text: String) throws -> (name: AccountName, tokens: [String: String]) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        let names = (parts.first ?? "").split(separator: "/").map(String.init)
        guard parts.count == 2, names.count == 2 else { throw ValidationError("TENANT/ACCOUNT=FILE expected") }
        let data = try Data(contentsOf: URL(fileURLWithPath: parts[1]))
        return (
            try AccountName(tenant: names[0], account: names[1]),
            try JSONDecoder().decode([String: String].self, from: data)
        )
    }
}

struct Totals: Sendable {
    var answers = 0
    var charges = 0
    var changes = 0
    var failures = 0

    mutating func add(_ other: Totals) {
        answers += other.answers
        charges += other.charges
        changes += other.changes
        failures += other.failures
    }
}

/// A promise that a real vault broke.
struct Broken: Error, CustomStringConvertible {
    let description: String
}

/// Whether the load should come to its end: when its input does.
// Set once, by the thread that reads the input, and read under the same lock.
final class Ending: @unchecked Sendable {
    private let lock = NSLock()
    private var isHere = false

    var hasCome: Bool { lock.withLock { isHere } }

    func watchInput() {
        Thread.detachNewThread {
            while readLine() != nil {}
            self.lock.withLock { self.isHere = true }
        }
    }
}

/// One account at one vault, and all that the vault must remember of it.
actor Plaything {
    private let fleet: Fleet
    private let vault: Fleet.Vault
    private let name: AccountName
    private let channel: VaultChannel
    private let backupKey: SecretBytes
    private let budget: Int
    private var generator: SeededGenerator
    private var totals = Totals()
    private var active: PlainRegistration?
    private var serial: UInt64?
    /// Answered and not given back, with the answers.
    private var charged: [(request: EvaluateRequest, element: GroupElement)] = []

    init(fleet: Fleet, vault: Fleet.Vault, name: AccountName, token: String, seed: UInt64, budget: Int) throws {
        self.fleet = fleet
        self.vault = vault
        self.name = name
        self.budget = budget
        generator = SeededGenerator(seed: seed)
        backupKey = .random(32, using: &generator)
        let bytes = Array(token.utf8)
        channel = VaultChannel(
            fleetID: fleet.id, transport: HTTPVaultTransport(timeoutSeconds: 30), tokens: { _ in bytes }, deadline: nil,
            now: { Timestamp(unixSeconds: UInt64(Date().timeIntervalSince1970)) })
    }

    func play(until ending: Ending) async throws -> Totals {
        while !ending.hasCome {
            try await compare()
            switch Int.random(in: 0..<10, using: &generator) {
            case _ where active == nil: try await register()
            case 0: try await register()
            case 1, 2: try await confirm()
            case 3: try await repeatOne()
            default: try await guess()
            }
        }
        try await compare()
        return totals
    }

    /// Asks until the vault answers: it is dead half of the time.
    private func ask(_ operation: VaultOperation) async throws -> Reply {
        while true {
            try Task.checkCancellation()
            switch await channel.ask(operation, of: vault) {
            case .success(.refused(.unavailable)), .success(.refused(.busy)), .failure: totals.failures += 1
            case .success(let reply):
                totals.answers += 1
                return reply
            }
            // Nothing is asserted about time; a dead vault is not asked a thousand times a second.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    private func broken(_ what: String) -> Broken {
        Broken(description: "vault \(vault.index), \(name.account): \(what)")
    }

    /// What the vault remembers is what it answered for, neither more nor less.
    private func compare() async throws {
        guard case .status(let status) = try await ask(.status(StatusRequest())) else { throw broken("no Status") }
        if let serial, status.serial != serial { throw broken("serial \(status.serial), not \(serial)") }
        serial = status.serial
        guard let active else { return }
        guard status.held.first(where: { $0.role == .active })?.recordHash == active.recordHash else {
            throw broken("the acknowledged registration is not there")
        }
        guard Int(status.attemptsLeft) == budget - charged.count else {
            throw broken("\(status.attemptsLeft) attempts left after \(charged.count) of \(budget)")
        }
    }

    private func context(_ serial: UInt64) -> SigningContext {
        SigningContext(fleetID: fleet.id, vaultID: vault.id, name: name, serial: serial)
    }

    // MARK: Operations

    private func register() async throws {
        guard let before = serial else { return }
        let new = try PlainRegistration(
            backupKey: backupKey, password: SecretBytes(copying: [1]), fleet: fleet, name: name, using: &generator)
        guard let share = new.share(for: vault.id) else { return }
        let old = active
        func replacement(_ signed: (RegistrationID) throws -> [UInt8]) throws -> Replacement? {
            try old.map {
                Replacement(oldRegistrationID: $0.id, signature: $0.managementKey.sign(try signed($0.id)))
            }
        }
        let prepare = VaultOperation.prepare(
            PrepareRequest(
                serial: before, record: new.record, share: share,
                replacement: try replacement {
                    try SignedBytes.prepare(context(before), oldRegistrationID: $0, newRecordHash: new.recordHash)
                }))
        guard case .prepared(let prepared) = try await ask(prepare) else { throw broken("Prepare was refused") }
        let signed = try SignedBytes.activate(context(prepared), recordHash: new.recordHash)
        let activate = VaultOperation.activate(
            ActivateRequest(
                serial: prepared, recordHash: new.recordHash, signature: new.managementKey.sign(signed),
                replacement: try replacement {
                    try SignedBytes.replace(context(prepared), oldRegistrationID: $0, newRecordHash: new.recordHash)
                }))
        guard case .activated(let activated) = try await ask(activate) else { throw broken("Activate was refused") }
        serial = activated
        active = new
        charged = []
        totals.changes += 1
        guard let old else { return }
        let certificate = try SuccessionCertificate(
            fleetID: fleet.id, name: name, oldRegistrationID: old.id, newRecordHash: new.recordHash,
            oldKey: old.managementKey, newKey: new.managementKey)
        guard case .retired(let retired) = try await ask(.retire(certificate)) else {
            throw broken("Retire was refused")
        }
        serial = retired
    }

    private func guess() async throws {
        guard let active, let serial else { return }
        let request = EvaluateRequest(
            serial: serial, registrationID: active.id, attemptID: .random(using: &generator),
            blindedElement: Scalar.random(using: &generator).timesGenerator)
        switch try await ask(.evaluate(request)) {
        case .evaluated(let reply) where charged.count < budget:
            charged.append((request, reply.evaluation))
            totals.charges += 1
            guard Int(reply.attemptsLeft) == budget - charged.count else {
                throw broken("a reply says \(reply.attemptsLeft) left after \(charged.count)")
            }
        case .evaluated: throw broken("an attempt more than the budget was answered")
        case .refused(.destructionPending) where charged.count == budget: try await confirm()
        case let reply: throw broken("a guess was answered \(reply)")
        }
    }

    /// A receipt that was answered once is answered again, alike, and not charged: `compare` counts.
    private func repeatOne() async throws {
        guard let (request, element) = charged.randomElement(using: &generator) else { return }
        guard case .evaluated(let reply) = try await ask(.evaluate(request)), reply.evaluation == element else {
            throw broken("a repeat was answered otherwise")
        }
    }

    private func confirm() async throws {
        guard let active, let serial, !charged.isEmpty else { return }
        let receipts = charged.prefix(Int.random(in: 1...charged.count, using: &generator)).map(\.request.receipt)
        let signed = try SignedBytes.confirm(context(serial), registrationID: active.id, receipts: receipts)
        let request = VaultOperation.confirm(
            ConfirmRequest(
                serial: serial, registrationID: active.id, receipts: receipts,
                signature: active.managementKey.sign(signed)))
        switch try await ask(request) {
        case .confirmed(let next, _): self.serial = next
        // Its first answer was lost with the process that made it.
        case .refused(.staleSerial(let current)) where current == serial + 1: self.serial = current
        case let reply: throw broken("Confirm was answered \(reply)")
        }
        charged.removeFirst(receipts.count)
    }
}
