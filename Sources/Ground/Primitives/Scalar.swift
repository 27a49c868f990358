package import ByteCoding
import CSodium

/// An integer modulo the order of ristretto255, 32 bytes little-endian. Always treated as a secret.
package struct Scalar: ByteCodable, Sendable {
    package static let byteCount = 32
    private let secret: SecretBytes

    /// Takes canonical bytes over and wipes them. Zero and numbers not below the order are refused: a zero share
    /// answers every guess alike, a second encoding of a scalar would be a second encoding of a message.
    package init(wiping bytes: inout [UInt8]) throws(GroupError) {
        defer { bytes.wipe() }
        guard bytes.count == Self.byteCount else { throw .invalidScalar }
        var wide = bytes + [UInt8](repeating: 0, count: 32)
        let reduced = Scalar(reducing: &wide)
        guard !reduced.isZero, reduced.withBytes({ sodium_memcmp($0, bytes, Self.byteCount) }) == 0 else {
            throw .invalidScalar
        }
        self = reduced
    }

    package init(copying bytes: [UInt8]) throws(GroupError) {
        var copy = bytes
        try self.init(wiping: &copy)
    }

    /// 64 bytes, little-endian, modulo the order; wipes them.
    package init(reducing bytes: inout [UInt8]) {
        precondition(bytes.count == 64, "a scalar is reduced from 64 bytes")
        self.init { crypto_core_ristretto255_scalar_reduce($0, bytes) }
        bytes.wipe()
    }

    package init(_ number: UInt8) {
        self.init { $0[0] = number }
    }

    /// Uniform and not zero.
    package static func random(using generator: inout some RandomNumberGenerator) -> Scalar {
        while true {
            var wide = generator.bytes(64)
            let scalar = Scalar(reducing: &wide)
            if !scalar.isZero { return scalar }
        }
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        var bytes = try reader.fixed(Self.byteCount)
        do { self = try Scalar(wiping: &bytes) } catch { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        guard !isZero else { throw .invalidValue }
        secret.withBytes { writer.raw($0) }
    }

    package static let one = Scalar(1)

    package var isZero: Bool { withBytes { sodium_is_zero($0, Self.byteCount) } == 1 }

    /// The 32 bytes, for what is not secret (a proof) or goes into another secret.
    package func exposed() -> [UInt8] { secret.withBytes { Array($0) } }

    /// Appends the 32 bytes to a buffer that its owner wipes.
    package func append(to buffer: inout [UInt8]) {
        secret.withBytes { buffer.append(contentsOf: $0) }
    }

    func withBytes<Result>(_ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        secret.withPointer(body)
    }

    private init(filling fill: (UnsafeMutablePointer<UInt8>) -> Void) {
        secret = SecretBytes(count: Self.byteCount) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            guard let base = buffer.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
            fill(base)
        }
    }
}

extension Scalar {
    package static func + (left: Scalar, right: Scalar) -> Scalar {
        combine(left, right, crypto_core_ristretto255_scalar_add)
    }

    package static func - (left: Scalar, right: Scalar) -> Scalar {
        combine(left, right, crypto_core_ristretto255_scalar_sub)
    }

    package static func * (left: Scalar, right: Scalar) -> Scalar {
        combine(left, right, crypto_core_ristretto255_scalar_mul)
    }

    /// Nil for zero.
    package var inverted: Scalar? {
        guard !isZero else { return nil }
        return Scalar { inverse in withBytes { _ = crypto_core_ristretto255_scalar_invert(inverse, $0) } }
    }

    private static func combine(
        _ left: Scalar, _ right: Scalar,
        _ operation: (UnsafeMutablePointer<UInt8>, UnsafePointer<UInt8>, UnsafePointer<UInt8>) -> Void
    ) -> Scalar {
        Scalar { result in left.withBytes { left in right.withBytes { operation(result, left, $0) } } }
    }
}

extension Scalar: Equatable {
    /// In constant time.
    package static func == (left: Scalar, right: Scalar) -> Bool { left.secret.isEqual(to: right.secret) }
}

extension Scalar: CustomStringConvertible, CustomReflectable {
    package var description: String { "<secret scalar>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
