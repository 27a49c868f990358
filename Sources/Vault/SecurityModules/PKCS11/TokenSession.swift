import CPKCS11
import Primitives

/// A session with a token in which its user is logged in. Every call either does all of what it says, or throws.
final class TokenSession: Sendable {
    private let library: PKCS11Library
    private let handle: CK_SESSION_HANDLE

    private static let objectsMax = 1024

    /// Opens a session and logs in, if this process is not logged in at this token already.
    init(_ library: PKCS11Library, slot: UInt, pin: SecretBytes) throws(TokenError) {
        self.library = library
        var handle: CK_SESSION_HANDLE = 0
        try library.call("C_OpenSession") {
            $0.C_OpenSession?(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nil, nil, &handle)
        }
        self.handle = handle
        try logIn(pin)
    }

    deinit {
        // Of a session that is over already, nobody needs to hear.
        _ = library.answer { $0.C_CloseSession?(handle) }
    }

    private func logIn(_ pin: SecretBytes) throws(TokenError) {
        let code = pin.withBytes { bytes in
            // The standard forgot a `const`: modules read it only.
            let start = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
            return library.answer { $0.C_Login?(handle, CKU_USER, start, UInt(bytes.count)) }
        }
        guard code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN else {
            throw TokenError("C_Login", answered: code)
        }
    }

    // MARK: Objects

    func find(_ attributes: TokenAttributes) throws(TokenError) -> [UInt] {
        let code = attributes.withTemplate { template, count in
            library.answer { $0.C_FindObjectsInit?(handle, template, count) }
        }
        guard code == CKR_OK else { throw TokenError("C_FindObjectsInit", answered: code) }
        // Otherwise the session could not search again.
        defer { _ = library.answer { $0.C_FindObjectsFinal?(handle) } }
        var found: [UInt] = []
        var batch = [CK_OBJECT_HANDLE](repeating: 0, count: 16)
        while true {
            var count: UInt = 0
            try library.call("C_FindObjects") { $0.C_FindObjects?(handle, &batch, UInt(batch.count), &count) }
            found += batch.prefix(Int(clamping: count))
            guard count > 0 else { return found }
            guard found.count < Self.objectsMax else {
                throw TokenError(.full, "It has over \(Self.objectsMax) objects of one kind and name.")
            }
        }
    }

    func create(_ attributes: TokenAttributes) throws(TokenError) {
        var object: CK_OBJECT_HANDLE = 0
        let code = attributes.withTemplate { template, count in
            library.answer { $0.C_CreateObject?(handle, template, count, &object) }
        }
        guard code == CKR_OK else { throw TokenError("C_CreateObject", answered: code) }
    }

    func destroy(_ object: UInt) throws(TokenError) {
        try library.call("C_DestroyObject") { $0.C_DestroyObject?(handle, object) }
    }

    /// The value of an attribute, of at most `bytesMax`; nil if the object does not have it or does not show it.
    func value(_ type: UInt, of object: UInt, bytesMax: Int) throws(TokenError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var length: UInt = 0
        let code = bytes.withUnsafeMutableBytes { buffer in
            var attribute = CK_ATTRIBUTE(type: type, pValue: buffer.baseAddress, ulValueLen: UInt(buffer.count))
            defer { length = attribute.ulValueLen }
            return library.answer { $0.C_GetAttributeValue?(handle, object, &attribute, 1) }
        }
        let absent = [CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE, CKR_BUFFER_TOO_SMALL]
        if absent.contains(code) { return nil }
        guard code == CKR_OK else { throw TokenError("C_GetAttributeValue", answered: code) }
        guard let count = Int(exactly: length), count <= bytesMax else { return nil }
        return Array(bytes.prefix(count))
    }

    // MARK: The wrapping key

    func generateKey(_ attributes: TokenAttributes) throws(TokenError) -> UInt {
        var mechanism = CK_MECHANISM(mechanism: CKM_AES_KEY_GEN, pParameter: nil, ulParameterLen: 0)
        var key: CK_OBJECT_HANDLE = 0
        let code = attributes.withTemplate { template, count in
            library.answer { $0.C_GenerateKey?(handle, &mechanism, template, count, &key) }
        }
        guard code == CKR_OK else { throw TokenError("C_GenerateKey", answered: code) }
        return key
    }

    /// AES-GCM. `iv` holds what the token used afterwards: some put their own in its place. Returns what the token made,
    /// ciphertext ‖ tag.
    func seal(
        _ plaintext: SecretBytes, key: UInt, iv: inout [UInt8], authenticating label: [UInt8]
    ) throws(TokenError) -> [UInt8] {
        // Room for more than there should be, so that a token with other habits is found out and does not write beyond.
        var sealed = [UInt8](repeating: 0, count: plaintext.count + 256)
        var count = UInt(sealed.count)
        let answers = Self.withMechanism(iv: &iv, label) { mechanism in
            let begun = library.answer { $0.C_EncryptInit?(handle, mechanism, key) }
            guard begun == CKR_OK else { return ("C_EncryptInit", begun) }
            return plaintext.withBytes { bytes in
                let start = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
                return (
                    "C_Encrypt", library.answer { $0.C_Encrypt?(handle, start, UInt(bytes.count), &sealed, &count) }
                )
            }
        }
        guard answers.1 == CKR_OK else { throw TokenError(answers.0, answered: answers.1) }
        return Array(sealed.prefix(Int(clamping: count)))
    }

    func open(
        _ sealed: [UInt8], key: UInt, iv: [UInt8], authenticating label: [UInt8]
    ) throws(TokenError) -> SecretBytes {
        var (sealed, iv) = (sealed, iv)
        var plaintext = [UInt8](repeating: 0, count: sealed.count + 256)
        defer { plaintext.wipe() }
        var count = UInt(plaintext.count)
        let answers = Self.withMechanism(iv: &iv, label) { mechanism in
            let begun = library.answer { $0.C_DecryptInit?(handle, mechanism, key) }
            guard begun == CKR_OK else { return ("C_DecryptInit", begun) }
            return (
                "C_Decrypt",
                library.answer { $0.C_Decrypt?(handle, &sealed, UInt(sealed.count), &plaintext, &count) }
            )
        }
        guard answers.1 == CKR_OK else { throw Self.notOpened(answers.0, answers.1) }
        return SecretBytes(copying: plaintext.prefix(Int(clamping: count)))
    }

    /// A tag that does not fit has no code of its own in PKCS #11 2.40; SoftHSM answers CKR_GENERAL_ERROR.
    private static func notOpened(_ call: String, _ code: UInt) -> TokenError {
        let error = TokenError(call, answered: code)
        guard call == "C_Decrypt", code == CKR_GENERAL_ERROR || code == CKR_FUNCTION_FAILED else { return error }
        return TokenError(
            .failed,
            "\(error.text) Tokens answer so, too, when what they were to open was altered or is another vault's.")
    }

    private static func withMechanism<Result>(
        iv: inout [UInt8], _ label: [UInt8], _ body: (UnsafeMutablePointer<CK_MECHANISM>) -> Result
    ) -> Result {
        var label = label
        return iv.withUnsafeMutableBufferPointer { iv in
            label.withUnsafeMutableBufferPointer { label in
                var parameters = CK_GCM_PARAMS(
                    pIv: iv.baseAddress, ulIvLen: UInt(iv.count), ulIvBits: UInt(iv.count * 8), pAAD: label.baseAddress,
                    ulAADLen: UInt(label.count), ulTagBits: 128)
                return withUnsafeMutableBytes(of: &parameters) { parameters in
                    var mechanism = CK_MECHANISM(
                        mechanism: CKM_AES_GCM, pParameter: parameters.baseAddress,
                        ulParameterLen: UInt(parameters.count))
                    return body(&mechanism)
                }
            }
        }
    }
}
