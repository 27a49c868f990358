import Primitives

/// The labels of the key derivations of section 2, each used for one thing.
enum Label {
    static let header = Array("coffer-v1 header".utf8)
    static let object = Array("coffer-v1 object".utf8)
    static let snapshot = Array("coffer-v1 snapshot".utf8)
    /// Not in the store: kept by vaults (section 13).
    static let head = Array("coffer-v1 head".utf8)
    static let headNonce = Array("coffer-v1 head nonce".utf8)
    /// Nothing in a store is sealed under it: a device's own copies are.
    static let copy = Array("coffer-v1 copy".utf8)
}

extension StoreID {
    /// HKDF(key, info) of section 2: the store id is the salt, so that no key serves two stores.
    func deriveKey(from key: SecretBytes, info: [UInt8]) -> SecretBytes {
        hkdfSHA512(key, salt: bytes, info: info, count: 32)
    }
}
