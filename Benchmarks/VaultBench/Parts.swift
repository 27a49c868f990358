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

/// The parts of an evaluation, each alone in a loop: microseconds of processor time.
struct Parts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures the parts of an evaluation, each in a loop.")

    @Argument(help: "A folder on the disk that is measured.") var folder: String
    @Option(help: "The fleet file.") var fleet: String
    @Option(help: "The issuer's private key.") var issuer: String
    @Option(help: "Rounds of each part.") var rounds = 400

    private struct Report: Encodable {
        var evaluate = 0.0
        var open = 0.0
        var seal = 0.0
        var token = 0.0
        /// For each record, in batches of 32: sealed before, committed by the store with its anchor's step.
        var commit = 0.0
        var commitAlone = 0.0
        /// Milliseconds by the wall's clock.
        var fdatasyncMedian = 0.0
        var fdatasyncP99 = 0.0
    }

    func run() async throws {
        var generator = SystemRandomNumberGenerator()
        let people = try Accounts(fleetPath: fleet)
        let share = people.registration.share
        let element = Scalar.random(using: &generator).timesGenerator
        var report = Report()
        report.evaluate = measure { _ = Evaluation(of: element, share: share, using: &generator) }
        let (key, exchange) = try channel(people, &generator)
        let evaluation = Evaluation(of: element, share: share, using: &generator)
        let reply = Reply.evaluated(
            EvaluateReply(
                evaluation: evaluation.element, proof: evaluation.proof, shareKey: evaluation.shareKey,
                envelope: people.registration.record.envelope, attemptsLeft: 4))
        report.open = try measure { _ = try key.open(exchange.sealed) }
        let opened = try key.open(exchange.sealed).0
        report.seal = try measure { _ = try opened.seal(reply, using: &generator).encoded() }
        report.token = try await token(people)
        report.commit = try commit(people, batch: 32) / 32
        report.commitAlone = try commit(people, batch: 1)
        let times = try fdatasyncs()
        report.fdatasyncMedian = times.milliseconds(at: 0.5)
        report.fdatasyncP99 = times.milliseconds(at: 0.99)
        try Output.json(report)
    }

    private func measure(_ body: () throws -> Void) rethrows -> Double {
        for _ in 0..<rounds / 10 { try body() }
        let began = Clock.processor()
        for _ in 0..<rounds { try body() }
        return Double(Clock.processor() - began) / 1e3 / Double(rounds)
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
    ) throws -> (ChannelKey, ClientExchange) {
        let key = try ChannelKey(
            fleetID: people.fleet.id, identity: .random(using: &generator), notBefore: Timestamp(unixSeconds: 1),
            using: &generator)
        return (key, try ClientExchange(try request(people, &generator), to: key.announcement))
    }

    private func tokenText(_ people: Accounts) throws -> String {
        let issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        return issuer.token(
            tenant: Accounts.tenant, account: try Accounts.name(1).account, vaultID: people.fleet.currentVaults[0].id,
            issuedSeconds: UInt64(Date().timeIntervalSince1970), lifetimeSeconds: 3600)
    }

    private func token(_ people: Accounts) async throws -> Double {
        let issuer = try TokenIssuer(privateKeyFile: PrivateFile.read(issuer, bytesMax: 4096))
        let keys = try await TenantKeys(json: issuer.keySet)
        let verifier = TokenVerifier(vaultID: people.fleet.currentVaults[0].id) { _ in keys }
        let text = Array(try tokenText(people).utf8)
        let now = UInt64(Date().timeIntervalSince1970)
        for _ in 0..<rounds / 10 { _ = try await verifier.verify(text, wallSeconds: now) }
        let began = Clock.processor()
        for _ in 0..<rounds { _ = try await verifier.verify(text, wallSeconds: now) }
        return Double(Clock.processor() - began) / 1e3 / Double(rounds)
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
