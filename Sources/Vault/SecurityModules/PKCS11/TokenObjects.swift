import ByteCoding
import CPKCS11

/// What a vault has in a token: the key that wraps its data key, and its anchor, under one id.
package enum TokenObjects {
    private static let application = "coffer-vault"

    /// What is made and what is looked for: in the token, and made with the PIN. An object that somebody put there without
    /// the PIN, under a vault's id, is not found.
    private static func protected() -> TokenAttributes {
        var attributes = TokenAttributes()
        for flag in [CKA_TOKEN, CKA_PRIVATE] { attributes.set(flag, true) }
        return attributes
    }

    // MARK: The wrapping key

    static func key(_ id: TokenObjectID) -> TokenAttributes {
        var search = protected()
        search.set(CKA_CLASS, number: CKO_SECRET_KEY)
        search.set(CKA_ID, id.bytes)
        return search
    }

    static func newKey(_ id: TokenObjectID, label: String) -> TokenAttributes {
        var template = key(id)
        template.set(CKA_KEY_TYPE, number: CKK_AES)
        template.set(CKA_VALUE_LEN, number: 32)
        template.set(CKA_LABEL, "\(application) \(label) \(id.hex.prefix(8))")
        for flag in [CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT] { template.set(flag, true) }
        for flag in [CKA_EXTRACTABLE, CKA_WRAP, CKA_UNWRAP, CKA_MODIFIABLE] { template.set(flag, false) }
        return template
    }

    // MARK: The anchor

    static func anchor(_ id: TokenObjectID) -> TokenAttributes {
        var search = protected()
        search.set(CKA_CLASS, number: CKO_DATA)
        search.set(CKA_LABEL, "\(application) anchor \(id.hex)")
        return search
    }

    static func newAnchor(_ id: TokenObjectID, value: [UInt8]) -> TokenAttributes {
        var template = anchor(id)
        template.set(CKA_APPLICATION, application)
        template.set(CKA_MODIFIABLE, false)
        template.set(CKA_VALUE, value)
        return template
    }

    // MARK: All of them

    /// Destroys whatever a vault has under this id. After it nothing opens the vault's data key again.
    package static func destroy(_ id: TokenObjectID, in token: Token) throws(TokenError) {
        try token.perform { session throws(TokenError) in
            for search in [key(id), anchor(id)] {
                for object in try session.find(search) { try session.destroy(object) }
            }
        }
    }

    /// The labels of what vaults have in a token.
    package static func labels(in token: Token) throws(TokenError) -> [String] {
        try token.perform { session throws(TokenError) in
            var labels: [String] = []
            for type in [CKO_SECRET_KEY, CKO_DATA] {
                var search = protected()
                search.set(CKA_CLASS, number: type)
                for object in try session.find(search) {
                    let label = try session.value(CKA_LABEL, of: object, bytesMax: 256)
                    let text = String(decoding: label ?? [], as: UTF8.self)
                    if text.hasPrefix("\(application) ") { labels.append(text.printable) }
                }
            }
            return labels.sorted()
        }
    }
}
