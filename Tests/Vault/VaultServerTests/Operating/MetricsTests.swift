import Foundation
import Primitives
import RecoveryProtocol
import Testing
import VaultCore

@testable import VaultServer

@Suite struct MetricsTests {
    @Test func `the page is Prometheus' text format to the letter`() {
        let counter = MetricFamily("a_total", .counter, ["kind"], "Says \\ and\nmore.")
        let histogram = MetricFamily("b_seconds", .histogram, ["part"], bounds: [0.5, 2], "Time.")
        var page = ExpositionWriter()
        page.begin(counter)
        page.sample(counter, ["z\"\\\n"], 3)
        page.sample(counter, ["a"], 0.25)
        page.end()
        page.begin(histogram)
        page.histogram(histogram, ["x"], counts: [1, 0, 2], sum: 7.5)
        page.end()
        #expect(
            page.text == #"""
                # HELP a_total Says \\ and\nmore.
                # TYPE a_total counter
                a_total{kind="a"} 0.25
                a_total{kind="z\"\\\n"} 3
                # HELP b_seconds Time.
                # TYPE b_seconds histogram
                b_seconds_bucket{part="x",le="0.5"} 1
                b_seconds_bucket{part="x",le="2"} 1
                b_seconds_bucket{part="x",le="+Inf"} 3
                b_seconds_sum{part="x"} 7.5
                b_seconds_count{part="x"} 3

                """#)
    }

    @Test func `a value at a bound belongs to its bucket`() {
        let metrics = VaultMetrics()
        for value in [1.0, 1.5, 2, 300] { metrics.observe(Metrics.batch, value) }
        let page = metrics.page()
        for line in [
            #"_bucket{le="1"} 1"#, #"_bucket{le="2"} 3"#, #"_bucket{le="256"} 3"#, #"_bucket{le="+Inf"} 4"#,
            "_sum 304.5",
        ] { #expect(page.contains("coffer_vault_ledger_batch_commands\(line)\n")) }
    }

    @Test func `what a batch did is counted for each tenant and each event`() {
        let metrics = VaultMetrics()
        metrics.count([
            ("a", [.charged]), ("a", [.charged]), ("b", [.charged]), ("a", [.expired, .charged]), ("b", []),
            ("b", [.confirmed(attempts: 2)]), ("b", [.confirmed(attempts: 3)]), ("b", [.forgiven(attempts: 1)]),
        ])
        let page = metrics.page()
        for line in [
            #"events_total{tenant="a",event="charged"} 3"#, #"events_total{tenant="a",event="expired"} 1"#,
            #"events_total{tenant="b",event="charged"} 1"#, #"events_total{tenant="b",event="confirmed"} 2"#,
            #"events_total{tenant="b",event="forgiven"} 1"#, #"attempts_returned_total{tenant="a"} 0"#,
            #"attempts_returned_total{tenant="b"} 6"#,
        ] { #expect(page.contains("coffer_vault_\(line)\n"), "\(line)") }
    }

    @Test func `names follow Prometheus' conventions, and none is there twice`() {
        #expect(Set(Metrics.all.map(\.name)).count == Metrics.all.count)
        for family in Metrics.all + Metrics.ofWitness {
            #expect(family.name.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil)
            #expect((family.kind == .counter) == family.name.hasSuffix("_total"))
            #expect(family.kind == .histogram || family.bounds.isEmpty)
            #expect(family.bounds == family.bounds.sorted())
            #expect(family.help.hasSuffix("."))
        }
    }

    private static var guide: String {
        get throws {
            let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../..")
            return try String(contentsOf: root.appending(path: "Docs/Operating.md"), encoding: .utf8)
        }
    }

    @Test func `the guide's table of metrics is this program's`() throws {
        let rows = try Self.guide.split(separator: "\n").map(String.init).filter { $0.hasPrefix("| `") }
        func expected(_ families: [MetricFamily]) -> [String] {
            families.map { family in
                let labels = family.labels.isEmpty ? "" : "{\(family.labels.joined(separator: ", "))}"
                return "| `\(family.name)\(labels)` | \(family.kind.rawValue) | \(family.help) |"
            }
        }
        let vault = rows.filter { $0.hasPrefix("| `coffer_vault_") || $0.hasPrefix("| `process_") }
        #expect(vault == expected(Metrics.all))
        // What both have of their process is in the vault's table.
        let witness = rows.filter { $0.hasPrefix("| `coffer_witness_") }
        #expect(witness == expected(Metrics.ofWitness.filter { $0.name.hasPrefix("coffer_witness_") }))
        #expect(Metrics.ofWitness.allSatisfy { $0.name.hasPrefix("coffer_witness_") || $0.name.hasPrefix("process_") })
    }

    @Test func `the guide's table of log lines is this program's`() throws {
        let guide = try Self.guide
        let start = try #require(guide.range(of: "| event | level | message |\n|---|---|---|\n"))
        let rows = guide[start.upperBound...].split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("|") }
        #expect(rows.map(String.init) == LogLine.allCases.map { "| `\($0.rawValue)` | \($0.level) | \($0.text) |" })
    }

    @Test func `every alert is about a metric that there is`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../..")
        let rules = try String(contentsOf: root.appending(path: "Docs/prometheus-rules.yml"), encoding: .utf8)
        let known = Set(
            (Metrics.all + Metrics.ofWitness).flatMap {
                [$0.name, "\($0.name)_bucket", "\($0.name)_count", "\($0.name)_sum"]
            })
        let used = rules.matches(of: /(coffer_vault|coffer_witness|process)_[a-z_]+/).map { String($0.output.0) }
        #expect(used.count > 5)
        for name in used { #expect(known.contains(name), "\(name)") }
    }

    @Test func `what happens to people is counted for their tenant, and names nobody`() async throws {
        let log = RecordingLog()
        let vault = try await TestVault(policy: .withoutWaits(budget: 2), logger: log.logger)
        let account = "anna-who-is-nobody's-business"
        var client = try TestClient(vault, account: account)
        let registration = try await client.register(password: "a")
        for _ in 0..<2 {
            let serial = try await client.status().serial
            _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        }
        vault.clock.pass(seconds: 72 * 3600 + 1)
        await vault.service.settleDue()
        client.token = Array("nonsense".utf8)
        _ = try await client.ask(.status(StatusRequest()))
        client.token = vault.token(account).dropLast() + [0x41, 0x41]
        _ = try await client.ask(.status(StatusRequest()))
        await #expect(throws: MessageRefusal.self) { try await vault.service.handle([1, 2, 3]) }
        await vault.service.probe()
        let page = vault.service.metricsPage()
        for line in [
            #"coffer_vault_events_total{tenant="chat",event="activated"} 1"#,
            #"coffer_vault_events_total{tenant="chat",event="charged"} 2"#,
            #"coffer_vault_events_total{tenant="chat",event="destroyed"} 1"#,
            #"coffer_vault_requests_total{operation="evaluate",outcome="answered"} 2"#,
            #"coffer_vault_requests_total{operation="status",outcome="unauthorised"} 2"#,
            #"coffer_vault_tokens_refused_total{tenant="",reason="malformed"} 1"#,
            #"coffer_vault_messages_refused_total{reason="malformed"} 1"#,
            #"coffer_vault_breaker_open{tenant="chat"} 0"#,
            #"coffer_vault_part_duration_seconds_count{part="evaluate"} 2"#,
            "coffer_vault_accounts 1", "coffer_vault_ledger_queue_commands 0", "coffer_vault_ready 1",
        ] { #expect(page.contains("\(line)\n"), "\(line)") }
        #expect(page.contains(#"coffer_vault_tokens_refused_total{tenant="chat",reason="#))
        for part in ["open", "token", "evaluate", "seal"] {
            let sample = page.split(separator: "\n").first {
                $0.hasPrefix(#"coffer_vault_part_processor_seconds_total{part="\#(part)"} "#)
            }
            #expect((sample?.split(separator: " ").last).flatMap { Double($0) } ?? 0 > 0, "\(part)")
        }
        let key = vault.records.sealer.account(client.name)
        for told in [page, log.text] {
            for secret in [account, "anna", "\(key)", Data(key.bytes).base64EncodedString(), "nonsense"] {
                #expect(!told.contains(secret))
            }
        }
    }

    private struct SilentWitnesses: WitnessTransport {
        func exchange(
            _: [UInt8], with witnesses: [Witness], until _: ([[UInt8]?]) -> Bool
        ) -> [[UInt8]?] {
            // The third says something, but nothing that it could have signed.
            witnesses.indices.map { $0 == 2 ? [1, 2, 3] : nil }
        }
    }

    @Test func `a witness that does not answer, or not as itself, is seen by its number`() throws {
        var generator = SystemRandomNumberGenerator()
        func key() -> SigningKey { SigningKey(seed: .random(SigningKey.seedBytes, using: &generator)) }
        let witnesses = (0..<4).map { Witness(key: key().verifyingKey, url: "http://127.0.0.1:\($0)") }
        let settings = try #require(WitnessSettings(witnesses: witnesses, faultyMax: 1))
        let metrics = VaultMetrics()
        let anchor = MeasuredAnchor(
            WitnessAnchor(settings: settings, identity: key(), transport: SilentWitnesses(), metrics: metrics), metrics)
        for _ in 0..<2 { #expect(throws: AnchorError.self) { try anchor.heads() } }
        for number in 1...4 {
            #expect(
                metrics.page().contains(
                    #"coffer_vault_witness_answers_total{witness="\#(number)",outcome="none"} 2"#))
        }
        #expect(metrics.page().contains("coffer_vault_anchor_answers 0\n"))
    }

    @Test func `a tenant that people are locked out of is seen`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 10)
        policy.chargesPerHourMax = 1
        let vault = try await TestVault(policy: policy)
        let client = try TestClient(vault)
        let registration = try await client.register(password: "a")
        let open = #"coffer_vault_breaker_open{tenant="chat"} 1"#
        #expect(!vault.service.metricsPage().contains(open))
        let serial = try await client.status().serial
        _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        #expect(vault.service.metricsPage().contains(open))
        vault.clock.pass(seconds: 3601)
        await vault.service.settleDue()
        #expect(!vault.service.metricsPage().contains(open))
    }
}
