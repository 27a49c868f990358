import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `Channel` {
    let fleet: Fleet
    let key: ChannelKey
    var samples = Samples(seed: 30)
    static let noon = Timestamp(unixSeconds: 1_800_000_000)

    init() throws {
        let made = try samples.fleet(of: 3)
        fleet = made.fleet
        key = try ChannelKey(
            fleetID: made.fleet.id, identity: made.identities[0], notBefore: Self.noon, using: &samples.generator)
    }

    private func roundTrip(_ request: Request) throws -> (ClientExchange, SealedRequest) {
        let exchange = try ClientExchange(request, to: key.announcement)
        return (exchange, try SealedRequest(decoding: try exchange.sealed.encoded()))
    }

    @Test mutating func `a request and its reply come through, each at one size`() throws {
        let operations = try samples.largestOperations()
        let replies = try samples.largestReplies()
        for (position, reply) in replies.enumerated() {
            let request = Request(token: [3, 1], operation: operations[position % operations.count])
            let (client, sealed) = try roundTrip(request)
            #expect(try sealed.encoded().count == SealedRequest.byteCount)
            let (vault, opened) = try key.open(sealed)
            #expect(try opened.get() == request)
            let sealedReply = try vault.seal(reply, using: &samples.generator)
            #expect(try sealedReply.encoded().count == SealedReply.byteCount)
            #expect(try client.open(try SealedReply(decoding: try sealedReply.encoded())) == reply)
        }
    }

    @Test mutating func `a repeated request never meets the same reply key`() throws {
        let (client, sealed) = try roundTrip(Request(token: [], operation: .status(StatusRequest())))
        let first = try key.open(sealed).0.seal(.prepared(serial: 1), using: &samples.generator)
        let second = try key.open(sealed).0.seal(.prepared(serial: 1), using: &samples.generator)
        #expect(first.ciphertext != second.ciphertext)
        #expect(try client.open(first) == client.open(second))
    }

    @Test mutating func `altered, foreign and misaddressed messages are not believed`() throws {
        let (client, sealed) = try roundTrip(Request(token: [], operation: .status(StatusRequest())))
        let bytes = try sealed.encoded()
        for (position, expected) in [
            (1, ChannelError.unknownKey), (17, .unknownKey), (25, .notSealed), (bytes.count - 1, .notSealed),
        ] {
            var altered = bytes
            altered[position] ^= 1
            let message = try SealedRequest(decoding: altered)
            #expect(throws: expected) { _ = try key.open(message) }
        }
        let reply = try key.open(sealed).0.seal(.prepared(serial: 1), using: &samples.generator)
        let (other, _) = try roundTrip(Request(token: [], operation: .status(StatusRequest())))
        #expect(throws: ChannelError.notSealed) { try other.open(reply) }
        for position in [0, 31, 32, SealedReply.byteCount - 1] {
            var altered = try reply.encoded()
            altered[position] ^= 1
            let message = try SealedReply(decoding: altered)
            #expect(throws: ChannelError.notSealed) { try client.open(message) }
        }
        #expect(throws: ByteCodingError.invalidValue) { try SealedRequest(decoding: [2] + bytes.dropFirst()) }
    }

    @Test mutating func `a well sealed request that says nothing can be refused in a sealed reply`() throws {
        // An operation of a later version, sealed as this version seals.
        var plaintext: [UInt8] = [0, 3, 0, 0, 99]
        plaintext += [UInt8](repeating: 0, count: Limits.requestPlaintextBytes - plaintext.count)
        for (position, byte) in [(5, 0), (4_000, 1)] as [(Int, UInt8)] {
            plaintext[position] = byte
            let bytes = try seal(plaintext)
            let (exchange, opened) = try key.open(try SealedRequest(decoding: bytes))
            #expect(throws: ChannelError.malformed) { try opened.get() }
            _ = try exchange.seal(.refused(.malformed), using: &samples.generator)
        }
    }

    private func seal(_ plaintext: [UInt8]) throws -> [UInt8] {
        let announcement = key.announcement
        let info = labelled(
            .channelInfo,
            fixed: {
                $0.uint8(1)
                $0.raw(announcement.vaultID.bytes)
                $0.raw(announcement.keyID.bytes)
            })
        let sealed = try HybridHPKE.seal(
            plaintext, to: announcement.publicKey, info: info, exportLabel: Label.channelExport.bytes)
        return [1] + announcement.vaultID.bytes + announcement.keyID.bytes + sealed.encapsulated + sealed.ciphertext
    }

    @Test mutating func `an announced key is trusted from its own vault and in its own time`() throws {
        let announcement = try KeyAnnouncement(decoding: try key.announcement.encoded())
        #expect(announcement == key.announcement)
        let (first, second) = (fleet.vaults[0], fleet.vaults[1])
        try announcement.check(fleetID: fleet.id, vault: first, now: Self.noon)
        try announcement.check(fleetID: fleet.id, vault: first, now: Self.noon.subtracting(seconds: 3600))
        try announcement.check(fleetID: fleet.id, vault: first, now: Self.noon.adding(seconds: 25 * 3600))
        #expect(throws: KeyAnnouncement.Distrust.notValidNow) {
            try announcement.check(fleetID: fleet.id, vault: first, now: Self.noon.adding(seconds: 25 * 3600 + 1))
        }
        #expect(throws: KeyAnnouncement.Distrust.notValidNow) {
            try announcement.check(fleetID: fleet.id, vault: first, now: Self.noon.subtracting(seconds: 3601))
        }
        #expect(throws: KeyAnnouncement.Distrust.notGenuine) {
            try announcement.check(fleetID: fleet.id, vault: second, now: Self.noon)
        }
        #expect(throws: KeyAnnouncement.Distrust.notGenuine) {
            try announcement.check(fleetID: .random(using: &samples.generator), vault: first, now: Self.noon)
        }
        let bytes = try announcement.encoded()
        for position in bytes.indices {
            var altered = bytes
            altered[position] ^= 0x80
            let forged = try KeyAnnouncement(decoding: altered)
            #expect(throws: KeyAnnouncement.Distrust.notGenuine) {
                try forged.check(fleetID: fleet.id, vault: first, now: Self.noon)
            }
        }
    }
}
