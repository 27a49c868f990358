import ByteCoding
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

@Suite struct `Messages` {
    @Test func `every request of the largest fleet fits the sealed plaintext`() throws {
        var samples = Samples(seed: 1)
        let token = [UInt8](repeating: 0x74, count: 1_536)
        for operation in try samples.largestOperations() {
            let bytes = try Request(token: token, operation: operation).encoded()
            #expect(bytes.count + 2 <= Limits.requestPlaintextBytes)
        }
    }

    @Test func `every reply of the largest fleet fits the sealed plaintext`() throws {
        var samples = Samples(seed: 2)
        for reply in try samples.largestReplies() {
            #expect(try reply.encoded().count + 2 <= Limits.replyPlaintextBytes)
        }
    }

    @Test func `every message comes back, and has one encoding`() throws {
        var samples = Samples(seed: 3)
        for operation in try samples.largestOperations() {
            let request = Request(token: [1, 2], operation: operation)
            let bytes = try request.encoded()
            let read = try Request(decoding: bytes)
            #expect(read == request)
            #expect(try read.encoded() == bytes)
        }
        for reply in try samples.largestReplies() {
            let bytes = try reply.encoded()
            #expect(try Reply(decoding: bytes) == reply)
        }
    }

    @Test func `every cut message and every longer one is refused`() throws {
        var samples = Samples(seed: 4)
        for operation in try samples.largestOperations() {
            let bytes = try Request(token: [1, 2], operation: operation).encoded()
            for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 97)) {
                #expect(throws: ByteCodingError.self) { try Request(decoding: Array(bytes.prefix(count))) }
            }
            #expect(throws: ByteCodingError.trailingBytes) { try Request(decoding: bytes + [0]) }
        }
    }

    @Test func `what is decoded from altered bytes encodes to those bytes`() throws {
        var samples = Samples(seed: 5)
        var generator = SeededGenerator(seed: 6)
        for reply in try samples.largestReplies() {
            let bytes = try reply.encoded()
            for _ in 0..<200 {
                var altered = bytes
                altered[Int.random(in: altered.indices, using: &generator)] ^=
                    1 << UInt8.random(in: 0..<8, using: &generator)
                guard let read = try? Reply(decoding: altered) else { continue }
                #expect(try read.encoded() == altered)
            }
        }
    }

    @Test(arguments: [[0], [10], [11], [14], [255], []] as [[UInt8]])
    func `unknown operations are refused`(operation: [UInt8]) {
        #expect(throws: ByteCodingError.self) { try Request(decoding: [0, 0] + operation) }
    }

    @Test func `an evaluation of the identity, a bad point or a zero share is refused`() throws {
        var samples = Samples(seed: 7)
        let operations = try samples.largestOperations()
        for bad in [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32)] {
            var evaluate = try Request(token: [], operation: operations[4]).encoded()
            evaluate.replaceSubrange(evaluate.count - 32..<evaluate.count, with: bad)
            #expect(throws: ByteCodingError.invalidValue) { try Request(decoding: evaluate) }
            guard case .prepare(let prepare) = operations[1] else { return }
            let plain = PrepareRequest(serial: 1, record: prepare.record, share: prepare.share)
            var bytes = try plain.encoded()
            bytes.replaceSubrange(bytes.count - 33..<bytes.count - 1, with: bad)
            #expect(throws: ByteCodingError.invalidValue) { try PrepareRequest(decoding: bytes) }
        }
    }

    @Test func `a printed request shows neither token nor share`() throws {
        var samples = Samples(seed: 10)
        let operations = try samples.largestOperations()
        guard case .prepare(let prepare) = operations[1] else { return }
        let token = Array("secret-token".utf8)
        var text = ""
        dump(Request(token: token, operation: operations[1]), to: &text)
        text += "\(Request(token: token, operation: operations[1]))"
        #expect(text.contains("secret scalar"))
        #expect(!text.contains("token") && !text.contains("\(token[0]), \(token[1])"))
        let share = prepare.share.exposed()
        #expect(!text.contains("\(share[0]), \(share[1]), \(share[2])") && !text.contains(Hex.encode(share)))
    }

    @Test func `names are compared byte by byte`() throws {
        let composed = try AccountName(tenant: "t", account: "\u{e9}")
        let decomposed = try AccountName(tenant: "t", account: "e\u{301}")
        #expect(composed != decomposed)
        #expect(throws: ByteCodingError.lengthOutOfRange) { try AccountName(tenant: "", account: "a") }
        #expect(throws: ByteCodingError.lengthOutOfRange) {
            try AccountName(tenant: "t", account: String(repeating: "é", count: 65))
        }
    }
}

@Suite struct `Labels` {
    @Test func `no two uses share a label, and none is another's beginning`() {
        let labels = Label.allCases.map(\.rawValue)
        for (position, label) in labels.enumerated() {
            for other in labels[(position + 1)...] {
                #expect(label != other)
            }
            #expect(label.utf8.count <= 255 && label.utf8.allSatisfy { $0 < 0x80 })
        }
    }
}

@Suite struct `Public record` {
    @Test func `every field is under the hash`() throws {
        var samples = Samples(seed: 8)
        let record = try samples.largestRecord()
        let hash = try record.recordHash()
        let bytes = try record.encoded()
        for position in bytes.indices {
            var altered = bytes
            altered[position] ^= 1
            guard let other = try? PublicRecord(decoding: altered) else { continue }
            #expect(try other.recordHash() != hash)
        }
        #expect(try RecordView(record).recordHash() == hash)
    }

    @Test func `n is odd, t is (n+1)/2, indices rise and vaults differ`() throws {
        var samples = Samples(seed: 9)
        let header = try samples.largestRecord().header
        func with(_ holders: [ShareHolder], threshold: UInt8) throws -> RecordHeader {
            try RecordHeader(
                fleetID: header.fleetID, fleetVersion: 1, name: header.name, registrationID: header.registrationID,
                threshold: threshold, holders: holders, argon2: header.argon2, managementKey: header.managementKey)
        }
        let five = Array(header.holders.prefix(5))
        #expect(try with(five, threshold: 3).count == 5)
        for threshold in [0, 1, 2, 4, 5, 255] as [UInt8] {
            #expect(throws: ByteCodingError.invalidValue) { try with(five, threshold: threshold) }
        }
        #expect(throws: ByteCodingError.invalidValue) { try with(Array(five.prefix(4)), threshold: 2) }
        #expect(throws: ByteCodingError.invalidValue) { try with([], threshold: 0) }
        #expect(throws: ByteCodingError.invalidValue) { try with(five.reversed(), threshold: 3) }
        let twice = [five[0], five[1], ShareHolder(index: 9, vaultID: five[0].vaultID, commitment: five[2].commitment)]
        #expect(throws: ByteCodingError.invalidValue) { try with(twice, threshold: 2) }
    }
}
