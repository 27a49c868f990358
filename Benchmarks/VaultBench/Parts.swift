import ArgumentParser
import ByteCoding
import Foundation
import Primitives
import RecordStores
import RecoveryProtocol
import SecurityModules
import VaultCore
import VaultServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Processor time of something that is done again and again.
private struct Stopwatch {
    private var sum: UInt64 = 0
    private var count = 0.0

    mutating func time<Value>(_ body: () throws -> Value) rethrows -> Value {
        let began = Clock.processor()
        defer { add(since: began) }
        return try body()
    }

    private mutating func add(since began: UInt64) {
        sum += Clock.processor() - began
        count += 1
    }

    /// For each time, without that of the clock itself.
    var microseconds: Double { (Double(sum) / count - Clock.reading) / 1e3 }
}

/// The parts of an evaluation: microseconds of processor time.
struct Parts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures the parts of an evaluation.")

    @Argument(help: "A folder on the disk that is measured.") var folder: String
    @Option(help: "The fleet file.") var fleet: String
    @Option(help: "The issuer's private key.") var issuer: String
    @Option(help: "Rounds of each part.") var rounds = 400

    private static let batch = 32

    private struct Report: Encodable {
        let evaluate: Double
        let open: Double
        let seal: Double
        let token: Double
        /// For each record, in batches of 32: sealed before, committed by the store with its anchor's step.
        let commit: Double
        let commitAlone: Double
        /// Milliseconds by the wall's clock.
        let fdatasyncMedian: Double
        let fdatasyncP99: Double
    }

    func run() async throws {
        let people = try Accounts(fleetPath: fleet)
        let times = try await times(people)
        let syncs = try fdatasyncs()
        try Output.json(
            Report(
                evaluate: times.evaluate.microseconds, open: times.open.microseconds, seal: times.seal.microseconds,
                token: times.token.microseconds, commit: try commit(people, batch: Self.batch) / Double(Self.batch),
                commitAlone: try commit(people, batch: 1), fdatasyncMedian: syncs.milliseconds(at: 0.5),
                fdatasyncP99: syncs.milliseconds(at: 0.99)))
    }

    private struct Times {
        var open = Stopwatch()
        var token = Stopwatch()
        var evaluate = Stopwatch()
        var seal = Stopwatch()
    }

    /// The parts in the order in which a vault comes to them: some messages are opened and their tokens checked, then these are evaluated
    /// and their replies sealed. In a loop by itself each would find the processor's caches as the vault never does.
    private func times(_ people: Accounts) async throws -> Times {
        var generator = SystemRandomNumberGenerator()
        let share = people.registration.share
        let element = Scalar.random(using: &generator).timesGenerator
        let (key, exchanges) = try channel(people, &generator)
        let (verifier, keys, token) = try await verifier(people)
        let now = UInt64(Date().timeIntervalSince1970)
        var times = Times()
        for batch in 0...max(rounds / Self.batch, 1) {
            // The first one, which warms up, is not counted.
            if batch == 1 { times = Times() }
            var opened: [VaultExchange] = []
            for exchange in exchanges {
                opened.append(try times.open.time { try key.open(exchange.sealed).0 })
                _ = try times.token.time {
                    try verifier.check(TokenVerifier.read(token), keys: keys, wallSeconds: now)
                }
            }
            for exchange in opened {
                let evaluation = times.evaluate.time { Evaluation(of: element, share: share, using: &generator) }
                let reply = Reply.evaluated(
                    EvaluateReply(
                        evaluation: evaluation.element, proof: evaluation.proof, shareKey: evaluation.shareKey,
                        envelope: people.registration.record.envelope, attemptsLeft: 4))
                _ = try times.seal.time { try exchange.seal(reply, using: &generator).encoded() }
            }
        }
        return times
    }

    private func request(_ people: Accounts, _ generator: inout SystemRandomNumberGenerator) throws -> Request {
        Request(
            token: Array(try tokenText(people).utf8),
            operation: .evaluate(
                EvaluateRequest(
                    serial: Accounts.serial, registrationID: people.registration.id,
                    attemptID: .random(using: &generator), blindedElement: people.registration.share.timesGenerator)))
    }

    private func channel(
        _ people: Accounts, _ generator: inout SystemRandomNumberGenerator
    ) throws -> (ChannelKey, [ClientExchange]) {
        let key = try ChannelKey(
            fleetID: people.fleet.id, identity: .random(using: &generator), notBefore: Timestamp(unixSeconds: 1),
            using: &generator)
        let exchanges = try (0..<Self.batch).map { _ in
            try ClientExchange(try request(people, &generator), to: key.announcement)
        }
        return (key, exchanges)
    }

    private func tokenText(_ people: Accounts) throws -> String {
        let issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        return issuer.token(
            tenant: Accounts.tenant, account: try Accounts.name(1).account, vaultID: people.fleet.currentVaults[0].id,
            issuedSeconds: UInt64(Date().timeIntervalSince1970), lifetimeSeconds: 3600)
    }

    private func verifier(_ people: Accounts) async throws -> (TokenVerifier, TenantKeys, token: [UInt8]) {
        let issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        return (
            TokenVerifier(vaultID: people.fleet.currentVaults[0].id), try await TenantKeys(json: issuer.keySet),
            Array(try tokenText(people).utf8)
        )
    }

    private func commit(_ people: Accounts, batch: Int) throws -> Double {
        let own = "\(folder)/commits"
        try? FileManager.default.removeItem(atPath: own)
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: own) }
        var generator = SystemRandomNumberGenerator()
        let sealer = RecordSealer(dataKey: .random(RecordSealer.dataKeyBytes, using: &generator))
        let store = try SQLiteRecordStore(path: "\(own)/vault.sqlite", creating: true)
        let anchor = try FileAnchor.create(path: "\(own)/anchor")
        let plaintext = try people.record().encoded()
        var previous = KeyedHead.none
        var time: UInt64 = 0
        for epoch in 1...UInt64(max(rounds / 4, 2)) {
            let records = try (0..<batch).map { slot in
                var bytes = plaintext
                let key = sealer.account(try Accounts.name(slot))
                return StoredRecord(
                    key: key, slot: UInt64(slot), epoch: epoch,
                    sealed: sealer.seal(wiping: &bytes, key: key, slot: UInt64(slot), epoch: epoch, using: &generator),
                    dueSeconds: nil)
            }
            let head = sealer.keyed(
                LedgerHead(
                    vaultID: people.fleet.currentVaults[0].id, epoch: epoch, slotCount: UInt64(batch),
                    root: KeyedHead.none.head.root, previous: previous.hash, time: .start))
            let began = Clock.processor()
            try store.commit(
                RecordBatch(expectedEpoch: epoch - 1, epoch: epoch, head: head.encoded(), records: records))
            try anchor.advance(to: head)
            if epoch > 1 { time += Clock.processor() - began }
            previous = head
        }
        try store.close()
        return Double(time) / 1e3 / Double(max(rounds / 4, 2) - 1)
    }

    /// What the disk takes for 4 KiB that must stay.
    private func fdatasyncs() throws -> [UInt64] {
        let path = "\(folder)/fdatasync"
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ValidationError("\(path) cannot be made") }
        defer {
            close(file)
            unlink(path)
        }
        let page = [UInt8](repeating: 7, count: 4096)
        var times: [UInt64] = []
        let growing = min(256, rounds)
        for number in 0..<rounds + growing {
            pwrite(file, page, page.count, off_t(number % growing * page.count))
            let began = Clock.now()
            guard fdatasync(file) == 0 else { throw ValidationError("fdatasync failed") }
            // The first round grows the file.
            if number >= growing { times.append(Clock.now() - began) }
        }
        return times
    }
}
