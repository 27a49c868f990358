import ByteCoding

/// Walks over the fields of a header (protobuf wire format), two levels deep, and remembers places.
///
/// Unknown fields are stepped over; a field that comes again counts as protobuf counts it: the last one.
struct HeaderScan {
    private(set) var nonce: Range<Int>?
    private(set) var nonceCount = 0
    private(set) var hasOlderKeyData = false
    private(set) var claims = HeaderClaims()

    mutating func read(_ bytes: [UInt8], _ message: Range<Int>) throws(ByteCodingError) {
        var fields = ProtobufFields(bytes, message)
        while let field = try fields.next() {
            switch (field.number, field.value) {
            case (2, .bytes): hasOlderKeyData = true
            case (3, .bytes(let range)): try readKeyData(bytes, range)
            case (4, .bytes(let range)): try readMetadata(bytes, range)
            case (5, .bytes): claims.hasPasskey = true
            case (6, .number(let type)): claims.keyType = Self.keyType(type)
            default: break
            }
        }
    }

    private mutating func readKeyData(_ bytes: [UInt8], _ range: Range<Int>) throws(ByteCodingError) {
        var fields = ProtobufFields(bytes, range)
        while let field = try fields.next() {
            guard field.number == 1, case .bytes(let place) = field.value else { continue }
            nonceCount += 1
            nonce = place.count == BackupHeader.nonceBytes ? place : nil
        }
    }

    private mutating func readMetadata(_ bytes: [UInt8], _ range: Range<Int>) throws(ByteCodingError) {
        var fields = ProtobufFields(bytes, range)
        while let field = try fields.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let place)): claims.appVersion = Self.text(bytes[place])
            case (2, .bytes(let place)): claims.deviceModel = Self.text(bytes[place])
            case (3, .bytes(let place)): claims.phoneSuffix = Self.text(bytes[place])
            case (4, .number(let version)): claims.backupVersion = version
            case (38, .number(let count)): claims.contentBytes = count
            default: break
            }
        }
    }

    private static func keyType(_ number: UInt64) -> HeaderClaims.KeyType {
        switch number {
        case 2: .password
        case 3: .digits
        case 4: .passkey
        default: .other(number)
        }
    }

    /// A stranger's words: short, and without characters that a terminal would obey; nil if there are none.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String? {
        bytes.isEmpty ? nil : String(decoding: bytes.prefix(64), as: UTF8.self).printable
    }
}

/// The fields of one message, in the order in which they stand.
struct ProtobufFields {
    struct Field {
        enum Value {
            case number(UInt64)
            case bytes(Range<Int>)
            case other
        }

        let number: UInt64
        let value: Value
    }

    private let bytes: [UInt8]
    private var place: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        place = range.lowerBound
        end = range.upperBound
    }

    mutating func next() throws(ByteCodingError) -> Field? {
        guard place < end else { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number > 0, number < 1 << 29 else { throw .invalidValue }
        switch tag & 7 {
        case 0: return Field(number: number, value: .number(try varint()))
        case 1: return Field(number: number, value: try skip(8))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - place) else { throw .truncated }
            let range = place..<place + Int(length)
            place = range.upperBound
            return Field(number: number, value: .bytes(range))
        case 5: return Field(number: number, value: try skip(4))
        // Groups are of protobuf's first years; nobody writes them here.
        default: throw .invalidValue
        }
    }

    private mutating func skip(_ count: Int) throws(ByteCodingError) -> Field.Value {
        guard end - place >= count else { throw .truncated }
        place += count
        return .other
    }

    /// At most 10 bytes, of which the last holds one bit.
    private mutating func varint() throws(ByteCodingError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard place < end else { throw .truncated }
            let byte = bytes[place]
            place += 1
            guard shift < 63 || byte <= 1 else { throw .invalidValue }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw .invalidValue
    }
}
