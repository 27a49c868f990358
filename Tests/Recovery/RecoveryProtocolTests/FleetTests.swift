import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `Fleets` {
    @Test func `comes back from its bytes`() throws {
        var samples = Samples(seed: 20)
        let fleet = try samples.fleet(of: 5).fleet
        #expect(try Fleet(decoding: try fleet.encoded()) == fleet)
        #expect(fleet.threshold == 3)
        #expect(fleet.currentVaults.count == 5)
    }

    @Test func `an even number of vaults, another threshold or a repeated index is refused`() throws {
        var samples = Samples(seed: 21)
        let fleet = try samples.fleet(of: 5).fleet
        func with(_ generations: [Fleet.Generation], _ vaults: [Fleet.Vault]? = nil) throws -> Fleet {
            try Fleet(id: fleet.id, promisedTotal: 10, vaults: vaults ?? fleet.vaults, generations: generations)
        }
        #expect(throws: FleetError.sizeAndThreshold(version: 1)) {
            try with([.init(version: 1, threshold: 2, indices: [1, 2, 3, 4])])
        }
        for threshold in [0, 1, 2, 4, 5] as [UInt8] {
            #expect(throws: FleetError.sizeAndThreshold(version: 1)) {
                try with([.init(version: 1, threshold: threshold, indices: [1, 2, 3, 4, 5])])
            }
        }
        #expect(throws: FleetError.repeatedVault(index: 2)) {
            try with([.init(version: 1, threshold: 2, indices: [1, 2, 2])])
        }
        #expect(throws: FleetError.unknownVault(index: 6)) {
            try with([.init(version: 1, threshold: 2, indices: [1, 2, 6])])
        }
        #expect(throws: FleetError.versionsOutOfOrder) { try with([]) }
        let three = Fleet.Generation(version: 2, threshold: 2, indices: [1, 2, 3])
        #expect(throws: FleetError.versionsOutOfOrder) { try with([three, three]) }
        let twin = Fleet.Vault(index: 9, identityKey: fleet.vaults[0].identityKey, urls: ["https://x.example"])
        #expect(throws: FleetError.repeatedVault(index: 9)) { try with([three], fleet.vaults + [twin]) }
    }

    @Test func `a registration of an earlier generation still matches, one of another fleet does not`() throws {
        var samples = Samples(seed: 22)
        let old = try samples.fleet(of: 3).fleet
        let registration = try registration(in: old, &samples)
        let added = (4...5).map { index in
            Fleet.Vault(
                index: index, identityKey: .random(using: &samples.generator), urls: ["https://n.example"])
        }
        let grown = try Fleet(
            id: old.id, promisedTotal: 10, vaults: old.vaults + added,
            generations: old.generations + [.init(version: 2, threshold: 3, indices: [1, 2, 3, 4, 5])])
        #expect(registration.record.header.matches(old))
        #expect(registration.record.header.matches(grown))
        #expect(!registration.record.header.matches(try samples.fleet(of: 3).fleet))
        // The same fleet id with other vaults: what a liar's fleet file would look like.
        let foreign = try Fleet(
            id: old.id, promisedTotal: 10, vaults: samples.fleet(of: 3).fleet.vaults, generations: old.generations)
        #expect(!registration.record.header.matches(foreign))
    }

    private func registration(in fleet: Fleet, _ samples: inout Samples) throws -> NewRegistration {
        try NewRegistration(
            backupKey: .random(32, using: &samples.generator), password: SecretBytes(copying: [1]), fleet: fleet,
            name: Samples.name(), argon2: Samples.argon2, using: &samples.generator)
    }

    @Test func `the budget: attempts for each vault, and guesses for c corrupt ones`() throws {
        var samples = Samples(seed: 23)
        let five = try samples.fleet(of: 5).fleet
        #expect(five.attemptsPerVault == 6)
        #expect((0...3).map { five.guessesMax(corrupt: $0) } == [10, 12, 18, nil])
        let three = try samples.fleet(of: 3).fleet
        #expect(three.attemptsPerVault == 6)
        #expect((0...2).map { three.guessesMax(corrupt: $0) } == [9, 12, nil])
        let one = try samples.fleet(of: 1).fleet
        #expect(one.attemptsPerVault == 10)
        #expect((0...1).map { one.guessesMax(corrupt: $0) } == [10, nil])
        #expect(throws: FleetError.promisedTotal) { try samples.fleet(of: 5, promisedTotal: 1) }
        #expect(throws: FleetError.promisedTotal) { try samples.fleet(of: 1, promisedTotal: 65) }
    }

    @Test(arguments: [
        ([6, 6, 6, 6, 6], 3, 10), ([6, 6, 6], 3, 6), ([6, 6, 6, 6], 3, 8), ([6, 6], 3, 0), ([0, 0, 0, 1, 1], 3, 0),
        ([10], 1, 10), ([1, 1, 1], 2, 1), ([9, 1, 1], 2, 2), ([], 1, 0), ([9, 9, 0], 0, 0),
    ])
    func `attempts shown are those that t vaults can still serve`(left: [Int], threshold: Int, shown: Int) {
        #expect(Fleet.attemptsShown(left: left, threshold: threshold) == shown)
    }

    /// Playing the attempts out against the vaults with most left gives what is shown, never less.
    @Test func `as many attempts as shown can be made`() {
        var generator = SeededGenerator(seed: 24)
        for _ in 0..<300 {
            let threshold = Int.random(in: 1...8, using: &generator)
            var left = (0..<2 * threshold - 1).map { _ in Int.random(in: 0...7, using: &generator) }
            let shown = Fleet.attemptsShown(left: left, threshold: threshold)
            var made = 0
            while true {
                left.sort(by: >)
                guard left.count >= threshold, left[threshold - 1] > 0 else { break }
                for position in 0..<threshold { left[position] -= 1 }
                made += 1
            }
            #expect(made == shown)
        }
    }

    @Test func `the next version gives new indices, retires old ones and keeps the history`() throws {
        var samples = Samples(seed: 25)
        let fleet = try samples.fleet(of: 3).fleet
        let keys = (0..<4).map { _ in SigningKey.random(using: &samples.generator).verifyingKey }
        let added = keys.prefix(3).map { (key: $0, urls: ["https://new.example"]) }
        let next = try fleet.next(adding: added, retiring: [2])
        #expect(next.generations == fleet.generations + [.init(version: 2, threshold: 3, indices: [1, 3, 4, 5, 6])])
        #expect(next.promisedTotal == fleet.promisedTotal)
        try fleet.checkSuccessor(next)
        // The index of the vault that left is not given to another.
        let third = try next.next(adding: [(key: keys[3], urls: ["https://new.example"])], retiring: [6])
        #expect(third.current.indices == [1, 3, 4, 5, 7])
        #expect(throws: FleetError.unknownVault(index: 2)) { try next.next(adding: [], retiring: [2]) }
        #expect(throws: FleetError.sizeAndThreshold(version: 2)) { try fleet.next(adding: [], retiring: [1]) }
        #expect(throws: FleetUpdateError.rewritesHistory) { try fleet.checkSuccessor(third.withoutItsFirstVersion()) }
    }

    @Test func `within a version only URLs may differ`() throws {
        var samples = Samples(seed: 26)
        let (fleet, _) = try samples.fleet(of: 3)
        func altered(total: UInt8 = 10, key: VerifyingKey? = nil, url: String = "https://other.example") throws -> Fleet
        {
            let first = Fleet.Vault(index: 1, identityKey: key ?? fleet.vaults[0].identityKey, urls: [url])
            return try Fleet(
                id: fleet.id, promisedTotal: total, vaults: [first] + fleet.vaults.dropFirst(),
                generations: fleet.generations)
        }
        #expect(fleet.isSameVersion(as: try altered()))
        #expect(!fleet.isSameVersion(as: try altered(total: 64)))
        let foreign = SigningKey.random(using: &samples.generator).verifyingKey
        #expect(!fleet.isSameVersion(as: try altered(key: foreign)))
    }
}

extension Fleet {
    fileprivate func withoutItsFirstVersion() throws -> Fleet {
        try Fleet(
            id: id, promisedTotal: promisedTotal, vaults: vaults, generations: Array(generations.dropFirst()))
    }
}
