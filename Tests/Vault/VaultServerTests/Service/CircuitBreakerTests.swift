import Primitives
import RecoveryProtocol
import Testing
import VaultCore
import VaultServer

/// One person must not suspend the recovery of everybody else; many stolen tokens must.
@Suite struct `Circuit breaker` {
    private func vault(chargesPerHour: UInt32) async throws -> TestVault {
        var policy = TenantPolicy.withoutWaits(budget: 6)
        policy.chargesPerHourMax = chargesPerHour
        policy.requestsPerMinuteMax = 10_000
        return try await TestVault(policy: policy)
    }

    private func isServed(_ account: String, at vault: TestVault) async throws -> Bool {
        let client = try TestClient(vault, account: account)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        let guess = TestClient.guess(registration, serial: serial)
        let reply = try await client.ask(.evaluate(guess))
        if case .evaluated = reply {
            _ = try await client.ask(client.confirm([guess.receipt], of: registration, serial: serial))
            return true
        }
        #expect(reply == .refused(.suspended))
        return false
    }

    @Test func `one account that guesses, deletes and registers again does not open it`() async throws {
        let vault = try await vault(chargesPerHour: 20)
        let client = try TestClient(vault, account: "troll")
        for _ in 0..<8 {
            let registration = try await client.register(password: "a")
            let serial = try await client.status().serial
            for _ in 0..<5 {
                let reply = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
                guard case .evaluated = reply else {
                    Issue.record("\(reply)")
                    return
                }
            }
            _ = try await client.ask(client.delete(registration, serial: serial))
        }
        #expect(try await isServed("victim", at: vault))
    }

    @Test func `nor does one that replaces its registration with its own key`() async throws {
        let vault = try await vault(chargesPerHour: 20)
        let client = try TestClient(vault, account: "troll")
        var registration = try await client.register(password: "a")
        for _ in 0..<8 {
            let serial = try await client.status().serial
            for _ in 0..<5 { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
            registration = try await client.register(password: "a", replacing: registration)
        }
        #expect(try await isServed("victim", at: vault))
    }

    @Test func `one account's confirmations do not make good what others lost`() async throws {
        let vault = try await vault(chargesPerHour: 8)
        let owner = try TestClient(vault, account: "owner")
        let registration = try await owner.register(password: "a")
        let serial = try await owner.status().serial
        let early = (0..<5).map { _ in TestClient.guess(registration, serial: serial) }
        for guess in early { _ = try await owner.ask(.evaluate(guess)) }
        // The hour in which they were counted is over.
        vault.clock.pass(seconds: 3600)
        for number in 0..<2 { try await lose(4, as: "person-\(number)", at: vault) }
        let fresh = try TestClient(vault, account: "owner")
        let confirm = try fresh.confirm(early.map(\.receipt), of: registration, serial: serial)
        guard case .confirmed = try await fresh.ask(confirm) else {
            Issue.record("not confirmed")
            return
        }
        #expect(try await !isServed("late", at: vault))
    }

    @Test func `many accounts open it`() async throws {
        let vault = try await vault(chargesPerHour: 20)
        for number in 0..<5 { try await lose(4, as: "person-\(number)", at: vault) }
        #expect(try await !isServed("late", at: vault))
    }

    private func lose(_ count: Int, as account: String, at vault: TestVault) async throws {
        let client = try TestClient(vault, account: account)
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        for _ in 0..<count { _ = try await client.ask(.evaluate(TestClient.guess(registration, serial: serial))) }
    }

    @Test func `attempts that the store did not take are not counted`() async throws {
        var policy = TenantPolicy.withoutWaits(budget: 6)
        policy.chargesPerHourMax = 3
        let store = MemoryRecordStore()
        let vault = try await TestVault(store: store, policy: policy)
        let client = try TestClient(vault, account: "unlucky")
        let registration = try await client.register(password: "a")
        let serial = try await client.status().serial
        func guess() async throws -> Reply {
            try await client.ask(.evaluate(TestClient.guess(registration, serial: serial)))
        }
        guard case .evaluated = try await guess() else {
            Issue.record("the first attempt was not answered")
            return
        }
        for _ in 0..<5 {
            store.fail(next: .unavailable)
            #expect(try await guess() == .refused(.unavailable))
        }
        // One of them counts, so two more are let through.
        for isAnswered in [true, true, false] {
            let reply = try await guess()
            if case .evaluated = reply {
                #expect(isAnswered)
            } else {
                #expect(!isAnswered && reply == .refused(.suspended))
            }
        }
    }
}
