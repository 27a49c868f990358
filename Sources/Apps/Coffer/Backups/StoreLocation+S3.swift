import ObjectStores
import Primitives

extension StoreAccount {
    init(_ address: S3Address) {
        self.init(
            names: [address.account], store: address.text, what: "key",
            nameWords: "Access key ID", secretWords: "Secret access key",
            environment: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            deniedAdvice: "Check what your key may do there, and that it is the key of this bucket.")
    }
}

extension StoreLocation {
    /// Who deletes for room or for privacy must know.
    static let keepsDeletedNote =
        "The bucket keeps old versions: what Coffer deletes there stays as one, and takes room, until the bucket's own rules "
        + "remove it."
}

extension StoreSignIns {
    func s3Credentials(for address: S3Address) throws(CofferError) -> S3Credentials {
        let key = try keptOrGiven(for: StoreAccount(address))
        let sessionToken = key.isGiven ? StoreAccount.environment("AWS_SESSION_TOKEN") : nil
        return S3Credentials(
            accessKeyID: key.name, secretKey: key.secret,
            sessionToken: sessionToken.map { SecretBytes(copying: Array($0.utf8)) })
    }
}

extension S3Credentials {
    init(signingIn name: String, _ secret: SecretBytes) throws(CofferError) {
        let isPlain = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x2f && $0 != 0x2c }
        guard (1...256).contains(name.utf8.count), isPlain, secret.count > 0 else {
            throw CofferError(
                .storeSignIn, "This is not the key of a bucket. Nothing was kept.",
                advice: "It has two parts: the access key ID, and the secret access key.")
        }
        self.init(accessKeyID: name, secretKey: secret)
    }
}

extension CofferError {
    init(_ error: S3Address.Malformed) {
        self.init(
            .unsupportedStore, error.words,
            advice: "The form is s3:https://HOST/BUCKET/PREFIX, with ?region=REGION if it is needed (Docs/Stores.md).")
    }
}

extension S3Address.Malformed {
    /// Without the text itself, in which a key may stand.
    fileprivate var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a bucket."
        case .hasCredentials: StoreURL.Malformed.hasCredentials.words
        case .notEncrypted: StoreURL.Malformed.notEncrypted.words
        case .noBucket: "The address names no bucket."
        case .badBucket: "The bucket's name has 3 to 63 small letters, digits, dots and hyphens."
        case .badPrefix:
            "What follows the bucket may have letters, digits and -._~ between single slashes, and no part that is . or .. alone."
        case .unknownOption(let name): "The address has an option \(name), which is unknown or has no such value."
        }
    }
}

extension StoreURL.Malformed {
    /// Without the text itself, in which a secret may stand.
    var words: String {
        switch self {
        case .notAnAddress: "This is not the address of a store."
        case .hasCredentials:
            "The address holds a name or a key, which do not belong there: they would be shown and kept. Nothing was kept. If it was "
                + "a secret, others may have seen it in this command."
        case .notEncrypted:
            "The address begins with http:, which anyone on the way can read and change. That is for this machine alone."
        }
    }
}
