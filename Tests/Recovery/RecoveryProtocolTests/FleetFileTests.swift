import ByteCoding
import FleetFiles
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `Fleet file` {
    /// A fleet of three that grew to five and lost its first vault.
    private func grown(_ samples: inout Samples) throws -> (old: Fleet, new: Fleet, identities: [SigningKey]) {
        let (old, identities) = try samples.fleet(of: 3)
        let added = (4...6).map { index in
            Fleet.Vault(
                index: index, identityKey: .random(using: &samples.generator), urls: ["https://n\(index).example"])
        }
        let new = try Fleet(
            id: old.id, promisedTotal: 10, vaults: old.vaults + added,
            generations: old.generations + [.init(version: 2, threshold: 3, indices: [2, 3, 4, 5, 6])])
        return (old, new, identities)
    }

    @Test func `what is written is read again, retired vaults, earlier versions and signatures included`() throws {
        var samples = Samples(seed: 50)
        let made = try grown(&samples)
        let file = FleetFile(
            fleet: made.new, signatures: [FleetSignature(index: 2, signature: samples.signature())])
        let text = try file.text()
        #expect(text.contains("retired = true"))
        #expect(try FleetFile(text: text) == file)
        #expect(try FleetFile(text: FleetFile(fleet: made.old).text()).fleet == made.old)
    }

    @Test func `mistakes are named`() throws {
        var samples = Samples(seed: 51)
        let fleet = try samples.fleet(of: 3).fleet
        let text = try FleetFile(fleet: fleet).text()
        func error(_ old: String, _ new: String) -> FleetFileError? {
            do {
                _ = try FleetFile(text: text.replacing(old, with: new))
                return nil
            } catch { return error }
        }
        #expect(error("threshold = 2", "threshold = 1") == .rule(.sizeAndThreshold(version: 1)))
        #expect(error("threshold = 2", "threshold = 300") == .field("threshold"))
        #expect(error("index = 3", "index = 2") == .rule(.repeatedVault(index: 2)))
        #expect(error("index = 3", "index = 256") == .field("index"))
        #expect(error("index = 3", "index = 3\nretried = true") == .unknownField("retried"))
        #expect(error("promised_total = 10", "") == .field("promised_total"))
        #expect(error("version = 1", "version = \"one\"") == .field("version"))
        #expect(error("[[vault]]\nindex = 3", "[[vault]\nindex = 3") != nil)
        let last = fleet.vaults[2]
        #expect(error("id = \"\(last.id.hex)\"", "id = \"\(fleet.vaults[0].id.hex)\"") == .idMismatch(index: 3))
        #expect(error("https://vault3.example", "ftp://vault3.example") == .rule(.urls(index: 3)))
        #expect(error("https://vault3.example", "https://a\\\"b") == .rule(.urls(index: 3)))
        guard case .notTOML(let line, _) = error("version = 1", "version = ") else {
            Issue.record("a value is missing, and nothing was said")
            return
        }
        #expect(line == 5)
    }

    @Test func `the fingerprint changes with every vault, version and threshold`() throws {
        var samples = Samples(seed: 52)
        let made = try grown(&samples)
        let fingerprint = try made.old.fingerprint()
        #expect(fingerprint.count == 39)
        #expect(try made.new.fingerprint() != fingerprint)
        #expect(try samples.fleet(of: 3).fleet.fingerprint() != fingerprint)
    }

    @Test func `a new version is taken when t vaults of the old one signed it`() throws {
        var samples = Samples(seed: 53)
        let made = try grown(&samples)
        let signed = try SignedBytes.fleet(made.new)
        let signatures = made.identities.enumerated().map { position, key in
            FleetSignature(index: UInt8(position + 1), signature: key.sign(signed))
        }
        #expect(try made.old.accept(made.new, signatures: Array(signatures.prefix(2))) == made.new)
        #expect(throws: FleetUpdateError.tooFewSignatures(valid: 1)) {
            try made.old.accept(made.new, signatures: [signatures[0], signatures[0]])
        }
        let misnamed = [signatures[0], FleetSignature(index: 3, signature: signatures[1].signature)]
        #expect(throws: FleetUpdateError.tooFewSignatures(valid: 1)) {
            try made.old.accept(made.new, signatures: misnamed)
        }
        #expect(throws: FleetUpdateError.notNewer) { try made.new.accept(made.old, signatures: signatures) }
        let foreign = try samples.fleet(of: 3).fleet
        #expect(throws: FleetUpdateError.anotherFleet) { try foreign.accept(made.new, signatures: signatures) }
    }

    @Test func `a new version that gives an old index to another vault is refused, however well signed`() throws {
        var samples = Samples(seed: 54)
        let made = try grown(&samples)
        var vaults = made.new.vaults
        vaults[0] = Fleet.Vault(
            index: 1, identityKey: .random(using: &samples.generator), urls: ["https://other.example"])
        let forged = try Fleet(
            id: made.old.id, promisedTotal: 10, vaults: vaults, generations: made.new.generations)
        let signed = try SignedBytes.fleet(forged)
        let signatures = made.identities.enumerated().map { position, key in
            FleetSignature(index: UInt8(position + 1), signature: key.sign(signed))
        }
        #expect(throws: FleetUpdateError.rewritesHistory) {
            try made.old.accept(forged, signatures: signatures)
        }
    }

    @Test func `what a foreign file says reaches no terminal raw`() throws {
        var samples = Samples(seed: 53)
        let text = try FleetFile(fleet: samples.fleet(of: 3).fleet).text()
        for line in [#""a\u001B[2J\u202Eb" = 1"#, #""a\u2028b" = 1"#, "version = \u{1b}[2J", "\u{202e} = 1"] {
            do {
                _ = try FleetFile(text: "\(line)\n\(text)")
                Issue.record("a field that nobody knows was read")
            } catch {
                let said = error.description.unicodeScalars.map(\.properties.generalCategory)
                for category in [Unicode.GeneralCategory.control, .format, .lineSeparator] {
                    #expect(!said.contains(category), "\(line.debugDescription)")
                }
            }
        }
    }
}
