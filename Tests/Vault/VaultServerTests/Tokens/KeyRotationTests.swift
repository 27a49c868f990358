import Foundation
import RecoveryProtocol
import Synchronization
import Testing
import VaultCore
import VaultServer

@Suite struct KeyRotationTests {
    /// What became of many requests at the same time.
    private final class Tally: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func count(_ reply: Reply) {
            let word = if case .refused(let refusal) = reply { "\(refusal)" } else { "answered" }
            counts.withLock { $0[word, default: 0] += 1 }
        }
        var all: [String: Int] { counts.withLock { $0 } }
    }

    private func ask(_ vault: TestVault, signedBy issuers: [TokenIssuer], _ tally: Tally) async throws {
        let start = vault.clock.now.wallSeconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                let issuer = issuers[number % issuers.count]
                group.addTask {
                    var client = try TestClient(vault, account: "account-\(number)")
                    for _ in 0..<15 {
                        client.token = Array(
                            issuer.token(
                                tenant: TestVault.tenant, account: "account-\(number)", vaultID: vault.vaultID,
                                issuedSeconds: start, lifetimeSeconds: 3600
                            ).utf8)
                        // Two writers on one store may get into each other's way, which costs a repeat and nothing else.
                        var reply = try await client.ask(.status(StatusRequest()))
                        for _ in 0..<50
                        where reply == .refused(.unavailable) || reply == .refused(.busy(retryAfterSeconds: 1)) {
                            reply = try await client.ask(.status(StatusRequest()))
                        }
                        tally.count(reply)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func keys(of issuers: TokenIssuer...) throws -> [UInt8] {
        let keys = try issuers.flatMap { issuer in
            let set = try JSONSerialization.jsonObject(with: Data(issuer.keySet)) as? [String: [[String: String]]]
            return set?["keys"] ?? []
        }
        return [UInt8](try JSONSerialization.data(withJSONObject: ["keys": keys]))
    }

    @Test func `a tenant's keys are exchanged under load, and no valid sign-in is refused`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 10)
        policy.requestsPerMinuteMax = 1_000_000
        let vault = try await TestVault(policy: policy)
        // Another process on the same store, as the operator's command is.
        let administration = VaultAdministration(records: vault.records)
        var generator = SystemRandomNumberGenerator()
        var present = vault.issuer
        let tally = Tally()
        for _ in 0..<5 {
            let (old, next) = (present, TokenIssuer.random(using: &generator))
            let both = TenantRecord(name: TestVault.tenant, keySet: try keys(of: old, next), policy: policy)
            async let adding: Void = Task.detached { try administration.setTenant(both) }.value
            try await ask(vault, signedBy: [old], tally)
            try await adding
            vault.clock.pass(seconds: 5)
            try await ask(vault, signedBy: [old, next], tally)
            let alone = TenantRecord(name: TestVault.tenant, keySet: try keys(of: next), policy: policy)
            async let withdrawing: Void = Task.detached { try administration.setTenant(alone) }.value
            try await ask(vault, signedBy: [next], tally)
            try await withdrawing
            vault.clock.pass(seconds: 5)
            let refused = Tally()
            try await ask(vault, signedBy: [old], refused)
            #expect(refused.all == ["unauthorised": 120])
            present = next
        }
        #expect(tally.all == ["answered": 5 * 3 * 120])
    }
}
