/// An answer to PROPFIND (RFC 4918, section 13), as far as a store needs it.
struct MultiStatus: Equatable {
    enum Malformed: Error, Equatable {
        case notAList
        /// All that is told of what was asked about is that it is not there.
        case missing
        /// One of the entries is not told, for a reason that has nothing to do with being there.
        case partial(status: Int)
    }

    struct Entry: Equatable {
        /// The last part of its path, decoded; empty for the server's root.
        var name: String
        /// How many parts its path has.
        var depth = 0
        var isFolder = false
        var byteCount: Int?
        var modifiedSeconds: UInt64?
        var availableBytes: UInt64?
    }

    /// The folder itself is one of them.
    let entries: [Entry]

    init(_ body: [UInt8]) throws(Malformed) {
        var reader = Reader()
        do {
            // One after the other: of a long list nothing but its entries is kept.
            try XMLLeaves.read(body) { leaf throws(XMLLeaves.Malformed) in
                do throws(Malformed) { try reader.take(leaf) } catch {
                    reader.failure = error
                    throw .malformed
                }
            }
        } catch {
            throw reader.failure ?? .notAList
        }
        try reader.endResponse()
        // Every list names at least what it was asked about.
        guard !reader.entries.isEmpty else { throw reader.saysMissing ? .missing : .notAList }
        entries = reader.entries
    }

    /// The names of what lies in the folder that was asked about: without the folder itself, which may have the name of one of them.
    ///
    /// - Parameter own: the folder's own name.
    func names(in own: String) -> Set<String> {
        let top = entries.map(\.depth).min() ?? 0
        let above = entries.filter { $0.depth == top }
        // A proxy may have put its own folders before, and some servers leave the folder itself out.
        let isItself = above.count == 1 && (entries.count > 1 || above[0].name == own)
        return Set(entries.filter { !isItself || $0.depth > top }.map(\.name))
    }
}

extension MultiStatus {
    private struct Reader {
        private static let entriesMax = 250_000
        private static let prefix = "multistatus/response/"

        var entries: [Entry] = []
        var saysMissing = false
        var failure: Malformed?
        private var href: String?
        private var status: String?
        private var saysMore = false
        private var entry = Entry(name: "")

        mutating func take(_ leaf: XMLLeaves.Leaf) throws(Malformed) {
            guard leaf.path.hasPrefix(Self.prefix) else {
                // Words that some servers add to the whole.
                guard leaf.path == "multistatus" || leaf.path.hasPrefix("multistatus/") else { throw .notAList }
                return
            }
            let part = leaf.path.dropFirst(Self.prefix.count)
            // Each begins with its address.
            if part == "href" {
                try endResponse()
                guard !leaf.text.isEmpty else { throw .notAList }
                href = leaf.text
                return
            }
            guard href != nil else { throw .notAList }
            saysMore = true
            note(part, leaf.text)
        }

        private mutating func note(_ part: Substring, _ text: String) {
            switch part {
            case "status": status = status ?? text
            case "propstat/prop/resourcetype/collection": entry.isFolder = true
            case "propstat/prop/getcontentlength":
                entry.byteCount = entry.byteCount ?? Int(text).flatMap { $0 >= 0 ? $0 : nil }
            case "propstat/prop/getlastmodified":
                entry.modifiedSeconds = entry.modifiedSeconds ?? HTTPTime(httpDate: text)?.seconds
            case "propstat/prop/quota-available-bytes":
                // Negative numbers are said for "unlimited" and "unknown".
                entry.availableBytes = entry.availableBytes ?? UInt64(text)
            default: break
            }
        }

        mutating func endResponse() throws(Malformed) {
            guard let href else { return }
            // Several addresses with one status: it is not known of which it holds.
            guard saysMore else { throw .notAList }
            defer {
                (self.href, status, saysMore) = (nil, nil, false)
                entry = Entry(name: "")
            }
            if let status = status.flatMap(Self.number) {
                if status == 404 {
                    saysMissing = true
                    return
                }
                guard (200...299).contains(status) else { throw .partial(status: status) }
            }
            guard let path = Self.path(href), entries.count < Self.entriesMax else { throw .notAList }
            entry.name = path.last
            entry.depth = path.count
            entries.append(entry)
        }

        /// `HTTP/1.1 404 Not Found`
        private static func number(_ line: String) -> Int? {
            line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        }

        /// Addresses are paths or whole URLs, and each server escapes in its own way.
        private static func path(_ href: String) -> (last: String, count: Int)? {
            var path = href.trimmed[...]
            if let mark = path.firstRange(of: "://") {
                path = path[mark.upperBound...].drop { $0 != "/" }
            }
            let parts = path.split(separator: "/")
            guard let last = PercentEncoding.decoded(parts.last ?? "") else { return nil }
            return (last, parts.count)
        }
    }
}

extension MultiStatus.Malformed {
    var words: String {
        switch self {
        case .notAList: "its list of files cannot be read"
        case .missing: "it is not there"
        case .partial(let status): "its list of files leaves something out (status \(status))"
        }
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
