/// An answer to PROPFIND (RFC 4918, section 13), as far as a store needs it.
struct MultiStatus: Equatable {
    enum Malformed: Error, Equatable {
        case notAList
        /// One of the entries is not told, for a reason that has nothing to do with being there.
        case partial(status: Int)

        var words: String {
            switch self {
            case .notAList: "its list of files cannot be read"
            case .partial(let status): "its list of files leaves something out (status \(status))"
            }
        }
    }

    struct Entry: Equatable {
        /// The last part of its path, decoded; empty for the server's root.
        var name: String
        var isFolder = false
        var byteCount: Int?
        var modifiedSeconds: UInt64?
        var availableBytes: UInt64?
    }

    /// The folder itself is one of them.
    var entries: [Entry] = []

    init(_ body: [UInt8]) throws(Malformed) {
        guard let leaves = try? XMLLeaves.read(body),
            leaves.allSatisfy({ $0.path == "multistatus" || $0.path.hasPrefix("multistatus/") })
        else { throw .notAList }
        var response: [XMLLeaves.Leaf] = []
        for leaf in leaves {
            // Each begins with its address.
            if leaf.path == "multistatus/response/href", !response.isEmpty {
                try add(response)
                response = []
            }
            response.append(leaf)
        }
        try add(response)
        // Every list names at least what it was asked about.
        guard !entries.isEmpty else { throw .notAList }
    }

    private mutating func add(_ response: [XMLLeaves.Leaf]) throws(Malformed) {
        func text(_ path: String) -> String? {
            response.first { $0.path == "multistatus/response/\(path)" && !$0.text.isEmpty }?.text
        }
        guard let href = text("href") else {
            // Words that some servers add to the whole.
            guard response.allSatisfy({ !$0.path.hasPrefix("multistatus/response/") }) else { throw .notAList }
            return
        }
        if let status = text("status").flatMap(Self.status) {
            if status == 404 { return }
            guard (200...299).contains(status) else { throw .partial(status: status) }
        }
        guard let name = Self.name(href) else { throw .notAList }
        let properties = "propstat/prop"
        entries.append(
            Entry(
                name: name,
                isFolder: response.contains {
                    $0.path == "multistatus/response/\(properties)/resourcetype/collection"
                },
                byteCount: text("\(properties)/getcontentlength").flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil },
                modifiedSeconds: text("\(properties)/getlastmodified").flatMap(HTTPTime.init(httpDate:))?.seconds,
                // Negative numbers are said for "unlimited" and "unknown".
                availableBytes: text("\(properties)/quota-available-bytes").flatMap { UInt64($0) }))
    }

    /// `HTTP/1.1 404 Not Found`
    private static func status(_ line: String) -> Int? {
        line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }

    /// Addresses are paths or whole URLs, each server escapes in its own way, and a proxy may have put its own folders before.
    private static func name(_ href: String) -> String? {
        var path = href.trimmed[...]
        if let mark = path.firstRange(of: "://") {
            path = path[mark.upperBound...].drop { $0 != "/" }
        }
        return PercentEncoding.decoded(path.split(separator: "/").last ?? "")
    }
}

extension String {
    /// Some servers put line ends around texts.
    fileprivate var trimmed: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
