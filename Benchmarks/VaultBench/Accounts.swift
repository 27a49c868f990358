import ByteCoding
import FleetFiles
import Foundation
import Primitives
import RecoveryProtocol
import SecurityModules
import TestSupport
import VaultCore
import VaultServer

/// The people of the measured vault. All have one registration, under a name of each one's own: a vault that evaluates
/// does not look at more, and to make ten million takes no day.
struct Accounts {
    static let tenant = "bench"
    private static let templateName = "p000000000000"

    let fleet: Fleet
    let registration: Registration

    /// The same from the same fleet file. `vaultID` is the vault that is measured.
    init(fleetPath: String, vaultID: VaultID? = nil) throws {
        fleet = try FleetFile(text: String(contentsOfFile: fleetPath, encoding: .utf8)).fleet
        var generator = SeededGenerator(seed: 1)
        let random = RegistrationRandomness.draw(threshold: fleet.threshold, using: &generator)
        let shares = SecretSharing.split(coefficients: random.coefficients, indices: fleet.current.indices)
        let id = random.registrationID
        let holders = zip(fleet.currentVaults, shares).map { vault, share in
            ShareHolder(
                index: vault.index, vaultID: vault.id,
                commitment: ShareCommitment(
                    registrationID: id, index: vault.index, vaultID: vault.id, shareKey: share.value.timesGenerator))
        }
        let key = SigningKey(seed: .random(SigningKey.seedBytes, using: &generator))
        let header = try RecordHeader(
            fleetID: fleet.id, fleetVersion: fleet.version,
            name: AccountName(tenant: Self.tenant, account: Self.templateName), registrationID: id,
            threshold: fleet.current.threshold, holders: holders,
            argon2: Argon2Parameters(memoryKiB: 19 * 1024, passes: 2), managementKey: key.verifyingKey)
        let record = PublicRecord(
            header: header,
            envelope: try Envelope(
                commitment: generator.bytes(Envelope.commitmentBytes),
                ciphertext: generator.bytes(Envelope.ciphertextBytes)))
        registration = Registration(record: record, recordHash: try record.recordHash(), share: shares[0].value)
    }

    static let serial: UInt64 = 1

    static func name(_ number: Int) throws -> AccountName { try AccountName(tenant: tenant, account: text(number)) }

    private static func text(_ number: Int) -> String {
        let digits = String(number)
        return "p" + String(repeating: "0", count: templateName.utf8.count - 1 - digits.utf8.count) + digits
    }

    /// An account's record as the vault writes it after the registration.
    func record() -> AccountRecord {
        var record = AccountRecord(serial: Self.serial)
        record.active = registration
        record.budget = UInt8(clamping: fleet.attemptsPerVault)
        return record
    }

    /// The record's bytes, and where in them the name stands.
    func template() throws -> (bytes: [UInt8], nameOffset: Int) {
        let bytes = try record().encoded()
        let name = Array(Self.templateName.utf8)
        let offset = bytes.indices.first { bytes[$0...].starts(with: name) }
        return (bytes, offset ?? 0)
    }

    static func write(_ number: Int, into bytes: inout [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + templateName.utf8.count, with: text(number).utf8)
    }

    /// Those that the load asks for, evenly among all: number i of `count`.
    static func asked(_ position: Int, of count: Int, among accounts: Int) -> Int {
        Int((UInt64(position) * UInt64(accounts)) / UInt64(max(count, 1)))
    }
}

/// The folder of a vault, as `coffer-vault init` makes it.
struct BenchFolder {
    let path: String
    var store: String { "\(path)/vault.sqlite" }
    var anchor: FileAnchor { FileAnchor(path: "\(path)/anchor") }

    func dataKey() throws -> SecretBytes {
        let wrapped = try PrivateFile.read("\(path)/data-key.wrapped", bytesMax: 4096)
        return try SoftwareSecurityModule(path: "\(path)/security-module.key").unwrap(wrapped)
    }
}
