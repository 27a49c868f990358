import ByteCoding
package import Primitives

/// What signs requests. The secret key never leaves this room; the token is sent, to the store alone.
package struct S3Credentials: Sendable {
    package let accessKeyID: String
    package let secretKey: SecretBytes
    package let sessionToken: SecretBytes?

    package init(accessKeyID: String, secretKey: SecretBytes, sessionToken: SecretBytes? = nil) {
        self.accessKeyID = accessKeyID
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// AWS Signature Version 4 of requests to S3 (AWS, "Authenticating Requests: Using the Authorization Header"), with the payload's
/// hash always in it.
package struct SignatureV4: Sendable {
    package let region: String
    package let credentials: S3Credentials

    package init(region: String, credentials: S3Credentials) {
        self.region = region
        self.credentials = credentials
    }

    /// The headers to send: the given ones, the time, the hash, the token, and the signature over all of them.
    ///
    /// - Parameters:
    ///   - path: encoded already, each part once.
    ///   - query: encoded by `query(_:)`.
    ///   - headers: `host` among them.
    ///   - time: in seconds since 1970.
    package func signed(
        method: String, path: String, query: String, headers: [(name: String, value: String)], payloadSHA256: [UInt8],
        time: UInt64
    ) -> [(name: String, value: String)] {
        let time = HTTPTime(seconds: time)
        let hash = Hex.encode(payloadSHA256)
        var headers = headers.map { (name: $0.name.lowercased(), value: $0.value) }
        headers += [("x-amz-content-sha256", hash), ("x-amz-date", time.basicTime)]
        if let token = credentials.sessionToken {
            headers.append(("x-amz-security-token", token.withBytes { String(decoding: $0, as: UTF8.self) }))
        }
        headers.sort { $0.name < $1.name }
        let names = headers.map(\.name).joined(separator: ";")
        let canonical = ([method, path, query] + headers.map { "\($0.name):\($0.value)" } + ["", names, hash])
            .joined(separator: "\n")
        let scope = "\(time.basicDate)/\(region)/s3/aws4_request"
        let text = ["AWS4-HMAC-SHA256", time.basicTime, scope, Hex.encode(sha256(Array(canonical.utf8)))]
            .joined(separator: "\n")
        let signature = Hex.encode(hmacSHA256(Array(text.utf8), key: signingKey(date: time.basicDate)))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope),SignedHeaders=\(names),Signature=\(signature)"
        return headers + [("authorization", authorization)]
    }

    private func signingKey(date: String) -> SecretBytes {
        let prefix = Array("AWS4".utf8)
        let first = credentials.secretKey.withBytes { secret in
            SecretBytes(count: prefix.count + secret.count) { room in
                room.copyBytes(from: prefix)
                UnsafeMutableRawBufferPointer(rebasing: room[prefix.count...]).copyMemory(from: secret)
            }
        }
        return [date, region, "s3", "aws4_request"].reduce(first) { key, part in
            var next = hmacSHA256(Array(part.utf8), key: key)
            return SecretBytes(wiping: &next)
        }
    }

    /// A query in the order and the form that is signed.
    package static func query(_ items: [(name: String, value: String)]) -> String {
        items.map { (PercentEncoding.encoded($0.name), PercentEncoding.encoded($0.value)) }.sorted { $0 < $1 }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }
}
