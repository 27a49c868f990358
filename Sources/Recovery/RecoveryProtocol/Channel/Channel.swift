package import ByteCoding
package import Primitives

/// Why a message could not be sealed or opened.
package enum ChannelError: Error, Equatable {
    /// Not addressed to this vault, or under a key that it no longer has. The client fetches the key again.
    case unknownKey
    /// Sealed to another key, altered, or not sealed at all: only sealed messages are believed.
    case notSealed
    /// Sealed well, but what is inside is not a message of this version.
    case malformed
    /// A field is outside its limits, so that the message could not be written.
    case tooLarge
}

/// What both sides keep between a request and its reply.
package struct ReplyKey: Sendable {
    private let exported: SecretBytes
    private let encapsulated: [UInt8]

    /// The secret that the request's HPKE context exports, and the request's encapsulated key.
    package init(exported: SecretBytes, encapsulated: [UInt8]) {
        self.exported = exported
        self.encapsulated = encapsulated
    }

    /// As in RFC 9458 section 4.4: a repeated request has the same exported secret, so the vault's own 32 random bytes
    /// keep one key and nonce from sealing two replies.
    private func derive(salt: [UInt8]) -> (key: SecretBytes, nonce: [UInt8]) {
        let material = hkdfSHA512(
            exported, salt: encapsulated + salt, info: Label.channelReply.bytes,
            count: AES256GCM.keyBytes + AES256GCM.nonceBytes)
        return material.withBytes { bytes in
            (SecretBytes(copying: bytes.prefix(AES256GCM.keyBytes)), Array(bytes.dropFirst(AES256GCM.keyBytes)))
        }
    }

    /// `salt` is never used twice.
    package func seal(_ reply: Reply, salt: [UInt8]) throws(ChannelError) -> SealedReply {
        let (key, nonce) = derive(salt: salt)
        let plaintext = try pad(reply, to: Limits.replyPlaintextBytes)
        return SealedReply(salt: salt, ciphertext: AES256GCM(key: key).seal(plaintext, nonce: nonce))
    }

    package func open(_ reply: SealedReply) throws(ChannelError) -> Reply {
        let (key, nonce) = derive(salt: reply.salt)
        var plaintext: [UInt8]
        do { plaintext = try AES256GCM(key: key).open(reply.ciphertext, nonce: nonce) } catch { throw .notSealed }
        defer { plaintext.wipe() }
        return try unpad(plaintext, as: Reply.self)
    }
}

/// The client's side of one exchange.
package struct ClientExchange: Sendable {
    /// What is sent.
    package let sealed: SealedRequest
    private let replyKey: ReplyKey

    /// Seals a request to a vault's announced key, which the caller has checked.
    package init(_ request: Request, to announcement: KeyAnnouncement) throws(ChannelError) {
        var plaintext = try pad(request, to: Limits.requestPlaintextBytes)
        defer { plaintext.wipe() }
        let info = SealedRequest.info(vaultID: announcement.vaultID, keyID: announcement.keyID)
        do {
            let made = try HybridHPKE.seal(
                plaintext, to: announcement.publicKey, info: info, exportLabel: Label.channelExport.bytes)
            sealed = SealedRequest(
                vaultID: announcement.vaultID, keyID: announcement.keyID, encapsulated: made.encapsulated,
                ciphertext: made.ciphertext)
            replyKey = ReplyKey(exported: made.exported, encapsulated: made.encapsulated)
        } catch { throw .unknownKey }
    }

    package func open(_ reply: SealedReply) throws(ChannelError) -> Reply { try replyKey.open(reply) }
}

/// One channel key of a vault, with its private half: in memory only.
package struct ChannelKey: Sendable {
    private let privateKey: HybridHPKE.PrivateKey
    package let announcement: KeyAnnouncement

    /// A new key, announced from `notBefore` for a day. The vault serves it for an hour longer.
    package init(
        fleetID: FleetID, identity: SigningKey, notBefore: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(ByteCodingError) {
        privateKey = HybridHPKE.PrivateKey(seed: .random(HybridHPKE.seedBytes, using: &generator))
        announcement = try KeyAnnouncement(
            fleetID: fleetID, publicKey: privateKey.publicKey, notBefore: notBefore,
            notAfter: notBefore.adding(seconds: KeyAnnouncement.validitySeconds + KeyAnnouncement.overlapSeconds),
            signedBy: identity)
    }

    /// Opens a request. `malformed` comes with the exchange, so that the refusal can be sealed.
    package func open(_ sealed: SealedRequest) throws(ChannelError) -> (VaultExchange, Result<Request, ChannelError>) {
        guard sealed.vaultID == announcement.vaultID, sealed.keyID == announcement.keyID else { throw .unknownKey }
        let info = SealedRequest.info(vaultID: sealed.vaultID, keyID: sealed.keyID)
        var plaintext: [UInt8]
        let exported: SecretBytes
        do {
            (plaintext, exported) = try privateKey.open(
                sealed.ciphertext, encapsulated: sealed.encapsulated, info: info,
                exportLabel: Label.channelExport.bytes)
        } catch { throw .notSealed }
        defer { plaintext.wipe() }
        let exchange = VaultExchange(replyKey: ReplyKey(exported: exported, encapsulated: sealed.encapsulated))
        do throws(ChannelError) {
            return (exchange, .success(try unpad(plaintext, as: Request.self)))
        } catch {
            return (exchange, .failure(error))
        }
    }
}

/// The vault's side of one exchange.
package struct VaultExchange: Sendable {
    fileprivate let replyKey: ReplyKey

    package func seal(
        _ reply: Reply, using generator: inout some RandomNumberGenerator
    ) throws(ChannelError) -> SealedReply {
        try replyKey.seal(reply, salt: generator.bytes(SealedReply.saltBytes))
    }
}

/// `opaque message<0..2^16-1>`, then zeros: the length on the wire tells nothing.
private func pad(_ message: some ByteCodable, to count: Int) throws(ChannelError) -> [UInt8] {
    do {
        // Room for all of it at once: a buffer that grows leaves copies of a share behind.
        var writer = ByteWriter(capacity: count)
        try message.encode(into: &writer)
        var encoded = writer.bytes
        defer { encoded.wipe() }
        guard encoded.count + 2 <= count else { throw ByteCodingError.lengthOutOfRange }
        writer = ByteWriter(capacity: count)
        try writer.vector(encoded, 0...0xffff)
        writer.zeros(count - writer.bytes.count)
        return writer.bytes
    } catch { throw .tooLarge }
}

private func unpad<Message: ByteCodable>(_ plaintext: [UInt8], as _: Message.Type) throws(ChannelError) -> Message {
    do {
        var reader = ByteReader(plaintext)
        var encoded = try reader.vector(0...0xffff)
        defer { encoded.wipe() }
        guard reader.rest().allSatisfy({ $0 == 0 }) else { throw ByteCodingError.invalidValue }
        return try Message(decoding: encoded)
    } catch { throw .malformed }
}
