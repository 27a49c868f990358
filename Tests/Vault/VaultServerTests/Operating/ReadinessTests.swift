import Foundation
import Logging
import Synchronization
import Testing
import VaultCore

@testable import VaultServer

@Suite struct ReadinessTests {
    @Test func `a vault is ready when its store reads and its anchor answers, and not when it was told to stop`()
        async throws
    {
        let anchor = MemoryAnchor()
        let log = RecordingLog()
        let vault = try await TestVault(anchor: anchor, logger: log.logger)
        #expect(vault.service.notReady() == "starting")
        await vault.service.probe()
        #expect(vault.service.notReady() == nil)
        anchor.set { $0.isReadable = false }
        await vault.service.probe()
        #expect(vault.service.notReady() == "the anchor does not answer")
        await vault.service.probe()
        anchor.set { $0.isReadable = true }
        await vault.service.probe()
        #expect(vault.service.notReady() == nil)
        // Told once each time it changes, not at every look.
        #expect(log.text.components(separatedBy: "not_ready").count == 2)
        vault.service.readiness.drain()
        await vault.service.probe()
        #expect(vault.service.notReady() == "draining")
    }

    @Test func `an anchor that does not answer, or does not read, is not called a damaged store`() async throws {
        let anchor = MemoryAnchor()
        let vault = try await TestVault(anchor: anchor)
        await vault.service.probe()
        // After a batch that the anchor did not take nothing is known of the store, and the anchor is asked first.
        anchor.fail(next: .unavailable)
        anchor.set { $0.isReadable = false }
        #expect(throws: LedgerError.self) {
            try VaultAdministration(records: vault.records).setTenant(
                TenantRecord(name: "other", keySet: vault.issuer.keySet, policy: TenantPolicy()))
        }
        await vault.service.probe()
        #expect(vault.service.notReady() == "the anchor does not answer")
        anchor.set { ($0.isReadable, $0.isWhole) = (true, false) }
        await vault.service.probe()
        #expect(vault.service.notReady() == "the anchor does not read")
        #expect(throws: LedgerError.anchorDamaged("as the test asked")) { try vault.records.audit() }
        anchor.set { $0.isWhole = true }
        await vault.service.probe()
        #expect(vault.service.notReady() == nil)
    }

    @Test func `a probe that does not come back is an answer too`() async throws {
        let vault = try await TestVault()
        await vault.service.probe()
        vault.clock.pass(seconds: 30)
        #expect(vault.service.notReady() == nil)
        vault.clock.pass(seconds: 1)
        #expect(vault.service.notReady()?.contains("has not answered") == true)
    }

    @Test func `a store that was put back while the vault serves is noticed`() async throws {
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store)
        await vault.service.probe()
        let old = store.copied()
        try VaultAdministration(records: vault.records).setTenant(
            TenantRecord(name: "other", keySet: vault.issuer.keySet, policy: TenantPolicy()))
        await vault.service.probe()
        #expect(vault.service.notReady() == nil)
        store.restore(old)
        await vault.service.probe()
        #expect(vault.service.notReady() == "the store is not the one that the anchor remembers")
    }
}

@Suite struct LogTests {
    private func lines(_ format: VaultLogHandler.Format, _ body: (Logger) -> Void) -> [String] {
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "test") { _ in
            VaultLogHandler(format: format) { line in lines.withLock { $0.append(line) } }
        }
        body(logger)
        return lines.withLock { $0 }
    }

    @Test func `one line each, whatever is in it`() throws {
        let hostile = "a\nb\u{1b}[2J \"c\"\\"
        for format in VaultLogHandler.Format.allCases {
            let written = lines(format) { $0.log(.ledgerFailed, ["reason": "\(hostile)", "request": "00"]) }
            let line = try #require(written.first)
            #expect(written.count == 1 && line.hasSuffix("\n") && !line.dropLast().contains("\n"))
            #expect(!line.contains("\u{1b}"))
            #expect(line.contains("ledger_failed") && line.contains("error"))
            // Logs of weeks lie together: the day belongs to the time.
            #expect(line.contains(/20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/))
        }
    }

    @Test func `what is below the level is not written`() {
        #expect(lines(.text) { $0.log(.request) }.isEmpty)
        #expect(lines(.json) { $0.log(.serving) }.count == 1)
    }
}
