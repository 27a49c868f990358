/// One answer to ListObjectsV2 (AWS, S3 API reference).
struct S3ListPage: Equatable {
    enum Malformed: Error, Equatable {
        case notAList
        /// It says that there is more, and not how to ask for it: what was listed is not everything.
        case breaksOff

        var words: String {
            switch self {
            case .notAList: "cannot be read"
            case .breaksOff: "breaks off"
            }
        }
    }

    var keys: [String] = []
    /// Of each key, in bytes, as far as the page says them.
    var sizes: [Int?] = []
    /// Nil at the end.
    var next: String?

    init(_ body: [UInt8]) throws(Malformed) {
        guard let leaves = try? XMLLeaves.read(body), leaves.allSatisfy({ $0.path.hasPrefix("ListBucketResult/") })
        else { throw .notAList }
        func text(_ name: String) -> String? { leaves.first { $0.path == "ListBucketResult/\(name)" }?.text }
        let isEncoded = text("EncodingType") == "url"
        for leaf in leaves where leaf.path == "ListBucketResult/Contents/Key" {
            guard let key = isEncoded ? PercentEncoding.decoded(leaf.text, plusIsSpace: true) : leaf.text else {
                throw .notAList
            }
            keys.append(key)
        }
        let told = leaves.filter { $0.path == "ListBucketResult/Contents/Size" }.map { Int($0.text) }
        // One for each, or else nobody knows whose they are.
        sizes = told.count == keys.count ? told : Array(repeating: nil, count: keys.count)
        switch text("IsTruncated") {
        case "true":
            guard let token = text("NextContinuationToken"), !token.isEmpty else { throw .breaksOff }
            next = token
        case "false": next = nil
        default: throw .notAList
        }
    }
}
