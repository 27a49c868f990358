package import ByteCoding
package import Primitives

/// The machine could not give Argon2id its memory; nothing was charged or changed. Free some, then try again.
package struct Argon2Unavailable: Error, Equatable {}

extension Argon2Parameters {
    /// Runs Argon2id once over nothing, so that a lack of memory shows before an attempt is charged and not after.
    package func rehearse() throws(Argon2Unavailable) {
        _ = try stretch(SecretBytes(copying: [0]), salt: [UInt8](repeating: 0, count: Argon2id.saltBytes))
    }

    /// r: 64 bytes.
    func stretch(_ output: SecretBytes, salt: [UInt8]) throws(Argon2Unavailable) -> SecretBytes {
        do {
            return try Argon2id.derive(output, salt: salt, memoryKiB: memoryKiB, passes: passes, count: 64)
        } catch { throw Argon2Unavailable() }
    }
}

/// The OPRF's input: the password, bound to where and for whom it is used, so that an evaluation for one registration
/// says nothing about another.
package func passwordInput(
    fleetID: FleetID, name: AccountName, registrationID: RegistrationID, password: SecretBytes
) throws(ByteCodingError) -> SecretBytes {
    var bytes = try labelled(.passwordInput) { writer throws(ByteCodingError) in
        try fleetID.encode(into: &writer)
        try name.encode(into: &writer)
        try registrationID.encode(into: &writer)
        try password.withBytes { (bytes) throws(ByteCodingError) in try writer.vector(bytes, Limits.passwordBytes) }
    }
    return SecretBytes(wiping: &bytes)
}

/// What the right password yields: the envelope's key and the commitment to it.
struct EnvelopeKeys {
    let key: SecretBytes
    let commitment: SecretBytes

    /// From y, the OPRF's output.
    init(
        output: SecretBytes, registrationID: RegistrationID, argon2: Argon2Parameters
    ) throws(Argon2Unavailable) {
        let stretched = try argon2.stretch(output, salt: registrationID.bytes)
        key = deriveKey(.envelopeKey, from: stretched, registrationID: registrationID)
        commitment = deriveKey(.envelopeCommitment, from: stretched, registrationID: registrationID)
    }
}

/// The key that manages a registration: whoever holds K has it, and nobody else.
package func managementKey(backupKey: SecretBytes, registrationID: RegistrationID) -> SigningKey {
    SigningKey(seed: deriveKey(.managementKey, from: backupKey, registrationID: registrationID))
}

/// HKDF-SHA512 with an empty salt; 32 bytes.
private func deriveKey(_ label: Label, from secret: SecretBytes, registrationID: RegistrationID) -> SecretBytes {
    hkdfSHA512(secret, salt: [], info: labelled(label, fixed: { $0.raw(registrationID.bytes) }), count: 32)
}

extension Envelope {
    /// A key of its own for each envelope, so the nonce may be fixed.
    private static let nonce = [UInt8](repeating: 0, count: AES256GCM.nonceBytes)

    static func seal(
        _ backupKey: SecretBytes, keys: EnvelopeKeys, header: RecordHeader
    ) throws(ByteCodingError) -> Envelope {
        let data = try header.encoded()
        let ciphertext = backupKey.withBytes {
            AES256GCM(key: keys.key).seal($0, nonce: nonce, authenticating: data)
        }
        return try Envelope(commitment: keys.commitment.withBytes { Array($0) }, ciphertext: ciphertext)
    }

    /// Whether these keys are the envelope's. Checked before anything is opened: GCM alone would let one ciphertext
    /// open under many keys, and so test many passwords in one attempt.
    func isCommitted(to keys: EnvelopeKeys) -> Bool {
        keys.commitment.isEqual(to: SecretBytes(copying: commitment))
    }

    func open(keys: EnvelopeKeys, header: RecordHeader) -> SecretBytes? {
        guard let data = try? header.encoded(),
            var opened = try? AES256GCM(key: keys.key).open(ciphertext, nonce: Self.nonce, authenticating: data)
        else { return nil }
        return SecretBytes(wiping: &opened)
    }
}
