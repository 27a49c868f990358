package import BackupEngine
package import BackupFormat
import ByteCoding
import Foundation
import Primitives
import Synchronization

/// A store in a bucket of S3, or of a server that speaks its language.
///
/// An object is one PUT, with its length, SHA-256 and MD5, so that a server shows it whole or not at all. `create` looks whether the
/// name is taken, and sends `If-None-Match: *` besides: on servers that know it two writers of one name cannot both succeed; on
/// others the last of two at the same moment wins (`Docs/Stores.md`). Names that Coffer creates are random.
package final class S3Store: ObjectStore {
    private static let objectBytesMax = 1 << 30
    /// A full answer to a request for a part is cut to size up to here.
    private static let slicedBytesMax = 64 << 20
    private static let uploadHeader = "x-amz-meta-coffer-upload"

    private let client: S3Client
    private let objectsPerList: Int
    /// The server said that it has no conditional requests.
    private let lacksConditions = Mutex(false)

    /// - Parameter objectsPerList: how many objects are asked for at a time; no server gives more than 1,000.
    package init(_ client: S3Client, objectsPerList: Int = 1_000) {
        self.client = client
        self.objectsPerList = objectsPerList
    }

    package var place: String { client.address.text }
    /// Each lies in a file meanwhile.
    package let uploadsAtOnce = 8

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await put(name.path, .bytes(bytes), md5: Self.md5(bytes), isNew: true)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try S3Upload(store: self, path: name.path)
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await put(name.path, .bytes(bytes), md5: Self.md5(bytes), isNew: false)
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try await send(S3Client.Request(method: "GET", name: name.path, answerBytesMax: Self.objectBytesMax)).body
    }

    package func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8] {
        guard !range.isEmpty else {
            guard try await size(of: name) >= range.upperBound else { throw .truncated(name.path) }
            return []
        }
        let request = S3Client.Request(
            method: "GET", name: name.path, headers: [("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")],
            answerBytesMax: max(range.count, Self.slicedBytesMax))
        return try Self.part(range, of: try await send(request), name)
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        guard let head = try await head(name.path) else {
            // The answer to HEAD has no body that would tell a missing object from a missing bucket.
            _ = try await send(S3Client.Request(method: "GET", name: name.path, headers: [("range", "bytes=0-0")]))
            throw .failed("\(name.path): there and not there")
        }
        guard let size = head.header("content-length").flatMap({ Int($0) }), size >= 0 else {
            throw .failed("\(name.path): its size is not said")
        }
        return size
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        let prefix = client.address.key("\(folder.rawValue)/")
        let ownBytes = prefix.utf8.count - folder.rawValue.utf8.count - 1
        var names: Set<ObjectName> = []
        var token: String?
        repeat {
            let page = try await page(prefix, after: token)
            for key in page.keys where key.hasPrefix(prefix) {
                if let name = ObjectName(path: String(decoding: key.utf8.dropFirst(ownBytes), as: UTF8.self)) {
                    names.insert(name)
                }
            }
            // A list that does not move on would never end.
            guard page.next == nil || page.next != token else { throw .failed("its list of objects repeats itself") }
            token = page.next
        } while token != nil
        return Array(names)
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        do { _ = try await send(S3Client.Request(method: "DELETE", name: name.path)) } catch .notFound {}
    }

    // MARK: Requests

    private func send(_ request: S3Client.Request) async throws(ObjectStoreError) -> StoreAnswer {
        do { return try await client.send(request) } catch {
            throw error.storeError(request.name, bucket: client.address.bucket)
        }
    }

    /// Nil if it is not there.
    private func head(_ path: String) async throws(ObjectStoreError) -> StoreAnswer? {
        do { return try await send(S3Client.Request(method: "HEAD", name: path)) } catch .notFound { return nil }
    }

    private func page(
        _ prefix: String, after token: String?
    ) async throws(ObjectStoreError) -> S3ListPage {
        var query = [
            ("list-type", "2"), ("prefix", prefix), ("encoding-type", "url"), ("max-keys", String(objectsPerList)),
        ]
        if let token { query.append(("continuation-token", token)) }
        let answer = try await send(
            S3Client.Request(method: "GET", name: "", query: query, answerBytesMax: 16 << 20))
        do { return try S3ListPage(answer.body) } catch {
            throw .failed("its list of objects \(error.words)")
        }
    }

    /// - Parameter isNew: the name must be free.
    func put(
        _ path: String, _ body: StoreBody, md5: [UInt8], isNew: Bool
    ) async throws(ObjectStoreError) {
        if isNew, try await head(path) != nil { throw .exists(path) }
        var generator = SystemRandomNumberGenerator()
        let mark = Hex.encode(generator.bytes(16))
        var request = S3Client.Request(method: "PUT", name: path, body: body)
        request.headers = [
            ("content-type", "application/octet-stream"), ("content-md5", Data(md5).base64EncodedString()),
            (Self.uploadHeader, mark),
        ]
        let isConditional = isNew && !lacksConditions.withLock { $0 }
        if isConditional { request.headers.append(("if-none-match", "*")) }
        do {
            _ = try await client.send(request)
        } catch  where isConditional && error.kind == .notImplemented {
            lacksConditions.withLock { $0 = true }
            try await put(path, body, md5: md5, isNew: isNew)
        } catch  where isConditional && error.kind == .exists {
            // An answer that was lost, and the same upload sent again.
            guard let head = try await head(path), Self.isUpload(mark, md5, head) else { throw .exists(path) }
        } catch {
            throw error.storeError(path, bucket: client.address.bucket)
        }
    }

    /// Some servers keep no headers of ours; then the content decides.
    private static func isUpload(_ mark: String, _ md5: [UInt8], _ head: StoreAnswer) -> Bool {
        if let kept = head.header(uploadHeader) { return kept == mark }
        return head.header("etag") == "\"\(Hex.encode(md5))\""
    }

    private static func md5(_ bytes: [UInt8]) -> [UInt8] {
        var md5 = MD5()
        md5.update(bytes)
        return md5.digest()
    }

    /// The bytes of a range from the answer to a request for it: a part, or, from servers that give no parts, all of a small object.
    private static func part(
        _ range: Range<Int>, of answer: StoreAnswer, _ name: ObjectName
    ) throws(ObjectStoreError) -> [UInt8] {
        guard let given = answer.header("content-range").flatMap(ContentRange.init) else {
            guard answer.status != 206 else { throw .failed("\(name.path): it is not said which part was sent") }
            guard answer.body.count >= range.upperBound else { throw .truncated(name.path) }
            return Array(answer.body[range])
        }
        guard given.range.lowerBound == range.lowerBound, given.range.count == answer.body.count else {
            throw .failed("\(name.path): another part was sent than was asked for")
        }
        guard given.range.upperBound >= range.upperBound else { throw .truncated(name.path) }
        return given.range == range ? answer.body : Array(answer.body[..<range.count])
    }
}

/// `bytes 0-9/100` (RFC 9110, section 14.4).
struct ContentRange: Equatable {
    let range: Range<Int>

    init?(_ text: String) {
        guard text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst("bytes ".count).split(separator: "/")
        let ends = (parts.first ?? "").split(separator: "-")
        guard parts.count == 2, ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]), first >= 0,
            first <= last, last < .max
        else { return nil }
        range = first..<last + 1
    }
}

/// A new object on its way into a bucket.
private final class S3Upload: ObjectUpload {
    private let store: S3Store
    private let path: String
    private var spool: Spool?

    init(store: S3Store, path: String) throws(ObjectStoreError) {
        self.store = store
        self.path = path
        spool = try Spool()
    }

    func append(_ bytes: UnsafeRawBufferPointer) async throws(ObjectStoreError) { try spool?.append(bytes) }

    func finish() async throws(ObjectStoreError) {
        guard let gathered = spool?.gathered() else { throw .failed("\(path): it was given up") }
        try await store.put(path, .spooled(gathered), md5: gathered.md5, isNew: true)
        spool = nil
    }

    func abandon() async { spool = nil }
}
