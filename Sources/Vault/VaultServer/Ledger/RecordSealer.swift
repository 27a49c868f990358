package import ByteCoding
package import Primitives
package import RecoveryProtocol
package import VaultCore

/// Why a record does not open: another data key, or bytes that somebody altered, moved or mixed.
package struct RecordDamaged: Error, Equatable {}

/// Seals records, names them, and authenticates heads, under keys that come from the vault's data key.
///
/// XChaCha20-Poly1305, because its nonces may be drawn at random for ever; slot and epoch are associated data, so that a
/// record opens only in the place and in the version for which it was written.
package struct RecordSealer: Sendable {
    package static let dataKeyBytes = 32

    private enum Purpose: String {
        case seal = "coffer vault v1 record seal"
        case names = "coffer vault v1 record names"
        case heads = "coffer vault v1 heads"
    }

    private let cipher: XChaCha20Poly1305
    private let nameKey: SecretBytes
    private let headKey: SecretBytes

    // The vault's own records, which every batch asks for.
    package let configuration: RecordKey
    package let identity: RecordKey
    package let anchorSettings: RecordKey
    package let restorePoint: RecordKey

    package init(dataKey: SecretBytes) {
        func key(_ purpose: Purpose) -> SecretBytes {
            hkdfSHA512(dataKey, salt: [], info: Array(purpose.rawValue.utf8), count: 32)
        }
        cipher = XChaCha20Poly1305(key: key(.seal))
        let nameKey = key(.names)
        self.nameKey = nameKey
        headKey = key(.heads)
        configuration = Self.name("configuration", nameKey)
        identity = Self.name("identity", nameKey)
        anchorSettings = Self.name("anchor", nameKey)
        restorePoint = Self.name("restore", nameKey)
    }

    // MARK: Names

    package func tenant(_ tenant: String) -> RecordKey { name("tenant") { $0.raw(tenant.utf8) } }

    /// Account numbers lie in the store as keyed hashes alone.
    package func account(_ account: AccountName) -> RecordKey { name("account", of: account) }

    /// The serial with which an account begins, below 2^63: nobody outside can tell it from one that was drawn, and it
    /// is the same whenever the account is asked about before it has a record.
    package func firstSerial(of account: AccountName) -> UInt64 {
        let derived = name("first serial", of: account)
        return derived.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >> 1
    }

    /// What an account's owner must sign over after a restore: another one after each.
    func thawNonce(of account: RecordKey, after point: RestorePoint) -> ThawNonce {
        ThawNonce(uncheckedBytes: name("thaw nonce") { $0.raw(point.seed + account.bytes) }.bytes)
    }

    private func name(_ kind: String, of account: AccountName) -> RecordKey {
        // An AccountName is within the limits of its encoding.
        name(kind) { try? account.encode(into: &$0) }
    }

    private func name(_ kind: String, _ content: (inout ByteWriter) -> Void) -> RecordKey {
        Self.name(kind, nameKey, content)
    }

    private static func name(
        _ kind: String, _ key: SecretBytes, _ content: (inout ByteWriter) -> Void = { _ in }
    ) -> RecordKey {
        var writer = ByteWriter(capacity: 256)
        writer.raw(kind.utf8)
        writer.uint8(0)
        content(&writer)
        return RecordKey(uncheckedBytes: hmacSHA256(writer.bytes, key: key))
    }

    // MARK: Sealing

    /// A record has zeros behind it up to a multiple of this. So a charge leaves it as large as it was: who steals a store does not see
    /// whom somebody guesses at, and a store that keeps records in pages writes one in place. Four lie in a page of SQLite's, with
    /// their names and what else is in a row.
    private static let paddedBytes = 920

    /// Where there is no room the plaintext is moved, and wiped where it was.
    private static func pad(_ plaintext: inout [UInt8]) {
        let zeros = (paddedBytes - plaintext.count % paddedBytes) % paddedBytes
        if plaintext.capacity < plaintext.count + zeros {
            var roomy: [UInt8] = []
            roomy.reserveCapacity(plaintext.count + zeros)
            roomy += plaintext
            plaintext.wipe()
            plaintext = roomy
        }
        plaintext += repeatElement(0, count: zeros)
    }

    /// Pads, seals and wipes the plaintext. Returns nonce ‖ ciphertext ‖ tag.
    package func seal(
        wiping plaintext: inout [UInt8], key: RecordKey, slot: UInt64, epoch: UInt64,
        using generator: inout some RandomNumberGenerator
    ) -> [UInt8] {
        Self.pad(&plaintext)
        defer { plaintext.wipe() }
        let nonce = generator.bytes(XChaCha20Poly1305.nonceBytes)
        return nonce + cipher.seal(plaintext, nonce: nonce, authenticating: place(key, slot: slot, epoch: epoch))
    }

    package func open<Value: ByteCodable>(_: Value.Type, _ stored: StoredRecord) throws(RecordDamaged) -> Value {
        var plaintext = try open(stored.sealed, place(stored.key, slot: stored.slot, epoch: stored.epoch))
        defer { plaintext.wipe() }
        do { return try Value(decodingPadded: plaintext) } catch { throw RecordDamaged() }
    }

    /// The same, in the ledger's words.
    func opened<Value: ByteCodable>(_: Value.Type, _ stored: StoredRecord) throws(LedgerError) -> Value {
        do { return try open(Value.self, stored) } catch {
            throw .damaged("a record in slot \(stored.slot) does not open: it was altered, or the key is another")
        }
    }

    /// Whether a record opens in its place and version, whatever it holds.
    func opens(_ stored: StoredRecord) -> Bool {
        guard var plaintext = try? open(stored.sealed, place(stored.key, slot: stored.slot, epoch: stored.epoch)) else {
            return false
        }
        plaintext.wipe()
        return true
    }

    // MARK: Heads

    /// Gives a head its code, without which nobody's head is ever anchored.
    package func keyed(_ head: LedgerHead) -> KeyedHead {
        // The fields have fixed sizes, so there is always an encoding.
        let bytes = (try? labelled(.headCode, head.encoded())) ?? []
        return KeyedHead(head: head, code: HeadCode(uncheckedBytes: hmacSHA256(bytes, key: headKey)))
    }

    /// Reads a head as the store gave it, if its code is right and it is of this epoch.
    func openHead(_ bytes: [UInt8], epoch: UInt64) throws(RecordDamaged) -> KeyedHead {
        if epoch == 0, bytes.isEmpty { return .none }
        guard let found = try? KeyedHead(decoding: bytes), found.head.epoch == epoch,
            constantTimeEquals(keyed(found.head).code.bytes, found.code.bytes)
        else { throw RecordDamaged() }
        return found
    }

    private func open(_ sealed: [UInt8], _ place: [UInt8]) throws(RecordDamaged) -> [UInt8] {
        guard sealed.count > XChaCha20Poly1305.nonceBytes else { throw RecordDamaged() }
        let nonce = Array(sealed[..<XChaCha20Poly1305.nonceBytes])
        do {
            return try cipher.open(
                Array(sealed[XChaCha20Poly1305.nonceBytes...]), nonce: nonce, authenticating: place)
        } catch { throw RecordDamaged() }
    }

    private func place(_ key: RecordKey, slot: UInt64, epoch: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.raw(Array("record".utf8))
        writer.raw(key.bytes)
        writer.uint64(slot)
        writer.uint64(epoch)
        return writer.bytes
    }
}
