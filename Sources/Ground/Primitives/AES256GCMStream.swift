import COpenSSL

/// A library of the system that is opened when it is needed, and is not there.
package struct MissingLibrary: Error, Equatable {
    package let name: String
}

/// OpenSSL's libcrypto, opened at the first use.
enum LibCrypto {
    private static let opened: coffer_libcrypto? = {
        var functions = coffer_libcrypto()
        return coffer_open_libcrypto(&functions) == 1 ? functions : nil
    }()

    static func functions() throws(MissingLibrary) -> coffer_libcrypto {
        guard let opened else { throw MissingLibrary(name: COFFER_LIBCRYPTO) }
        return opened
    }
}

/// AES-256-GCM (NIST SP 800-38D) in pieces, with a nonce of any length and without associated data.
///
/// What it decrypts is nobody's word until `verify` has said yes: whoever writes it down does so where nobody takes it for
/// more. For WhatsApp's files alone; Coffer's own are sealed in frames (`AES256GCM`).
package final class AES256GCMStream {
    package enum Direction: Int32 {
        case decrypt = 0
        case encrypt = 1
    }

    package static let tagBytes = 16
    /// Of one message under one nonce: 2^39 - 256 bits (NIST SP 800-38D section 5.2.1.1).
    package static let messageBytesMax: UInt64 = (1 << 36) - 32

    private let library: coffer_libcrypto
    private let context: OpaquePointer
    private let direction: Direction
    private let bytesMax: UInt64
    private var byteCount: UInt64 = 0
    /// Once there are more bytes than GCM allows under a nonce, or OpenSSL refuses: from then on zeros come out, and no tag is good.
    package private(set) var hasFailed = false

    /// - Parameter bytesMax: what one message may have; less than GCM's own limit in tests alone.
    package init(
        key: SecretBytes, nonce: [UInt8], _ direction: Direction, bytesMax: UInt64 = messageBytesMax
    ) throws(MissingLibrary) {
        precondition(key.count == AES256GCM.keyBytes && !nonce.isEmpty, "an AES-256 key has 32 bytes")
        library = try LibCrypto.functions()
        self.direction = direction
        self.bytesMax = min(bytesMax, Self.messageBytesMax)
        context = Self.newContext(library)
        let started =
            library.`init`(context, library.aes_256_gcm(), nil, nil, nil, direction.rawValue) == 1
            && library.control(context, EVP_CTRL_AEAD_SET_IVLEN, Int32(nonce.count), nil) == 1
            && key.withPointer { library.`init`(context, nil, nil, $0, nonce, direction.rawValue) == 1 }
        guard started else { throw MissingLibrary(name: "AES-256-GCM in \(COFFER_LIBCRYPTO)") }
    }

    private init(copying other: AES256GCMStream) {
        library = other.library
        direction = other.direction
        bytesMax = other.bytesMax
        byteCount = other.byteCount
        context = Self.newContext(library)
        hasFailed = other.hasFailed || library.context_copy(context, other.context) != 1
    }

    deinit { library.context_free(context) }

    private static func newContext(_ library: coffer_libcrypto) -> OpaquePointer {
        // Without memory for this there is none for an array either, and Swift stops the program there too.
        guard let context = library.context_new() else { preconditionFailure("out of memory for a cipher") }
        return context
    }

    /// Another one at the same place.
    package func copy() -> AES256GCMStream { AES256GCMStream(copying: self) }

    /// Encrypts or decrypts into `target`, which has as much room and may be where the bytes lie. After a refusal `target` is zeros, and
    /// never what it held before, which may be the plaintext.
    package func update(_ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) {
        precondition(target.count >= bytes.count && bytes.count <= Int32.max, "a piece has room and is not huge")
        guard bytes.count > 0 else { return }
        let room = UnsafeMutableRawBufferPointer(rebasing: target[..<bytes.count])
        guard !hasFailed, UInt64(bytes.count) <= bytesMax - byteCount else {
            hasFailed = true
            _ = room.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        byteCount += UInt64(bytes.count)
        var written: Int32 = 0
        let done = library.update(
            context, target.assumingMemoryBound(to: UInt8.self).baseAddress, &written,
            bytes.assumingMemoryBound(to: UInt8.self).baseAddress, Int32(bytes.count))
        hasFailed = done != 1 || written != bytes.count
        if hasFailed { _ = room.initializeMemory(as: UInt8.self, repeating: 0) }
    }

    package func update(_ bytes: some Collection<UInt8>) -> [UInt8] {
        var bytes = Array(bytes)
        bytes.withUnsafeMutableBytes { update(UnsafeRawBufferPointer($0), into: $0) }
        return bytes
    }

    /// Whether this is the tag of everything that was decrypted; ends the stream.
    package func verify(tag: [UInt8]) -> Bool {
        guard !hasFailed, direction == .decrypt, tag.count == Self.tagBytes else { return false }
        var tag = tag
        var written: Int32 = 0
        var rest = [UInt8](repeating: 0, count: 16)
        hasFailed = true
        return library.control(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), &tag) == 1
            && library.final(context, &rest, &written) == 1
    }

    /// The tag of everything that was encrypted; ends the stream. Nil if there was more than GCM allows.
    package func tag() -> [UInt8]? {
        var tag = [UInt8](repeating: 0, count: Self.tagBytes)
        var written: Int32 = 0
        var rest = [UInt8](repeating: 0, count: 16)
        guard !hasFailed, direction == .encrypt, library.final(context, &rest, &written) == 1,
            library.control(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), &tag) == 1
        else { return nil }
        hasFailed = true
        return tag
    }
}

/// AES-256-CBC with PKCS #7 padding (NIST SP 800-38A, RFC 5652 section 6.3), which alone proves nothing: the caller has
/// verified a MAC over nonce and ciphertext first.
package func openAES256CBC(_ ciphertext: [UInt8], key: SecretBytes, nonce: [UInt8]) throws(MissingLibrary) -> [UInt8]? {
    let library = try LibCrypto.functions()
    guard key.count == 32, nonce.count == 16, ciphertext.count <= Int32.max - 32 else { return nil }
    guard let context = library.context_new() else { return nil }
    defer { library.context_free(context) }
    var plaintext = [UInt8](repeating: 0, count: ciphertext.count + 16)
    var written: Int32 = 0
    var rest: Int32 = 0
    let opened = plaintext.withUnsafeMutableBufferPointer { target in
        key.withPointer { library.`init`(context, library.aes_256_cbc(), nil, $0, nonce, 0) == 1 }
            && library.update(context, target.baseAddress, &written, ciphertext, Int32(ciphertext.count)) == 1
            && library.final(context, target.baseAddress.map { $0 + Int(written) }, &rest) == 1
    }
    guard opened else { return nil }
    return Array(plaintext.prefix(Int(written) + Int(rest)))
}
