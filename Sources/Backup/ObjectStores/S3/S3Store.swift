package import BackupEngine
package import BackupFormat
import ByteCoding
import Foundation
import Primitives
import Synchronization

/// A store in a bucket of S3, or of a server that speaks its language.
///
/// An object is one PUT, with its length and SHA-256, small ones with their MD5 besides, so that a server shows it whole or not at all. `create` looks whether the
/// name is taken, unless the server is known to obey `If-None-Match: *`, which is always sent: on servers that do, two writers of one
/// name cannot both succeed; on others the last of two at the same moment wins (`Docs/Stores.md`). Names that Coffer creates are random.
package final class S3Store: PartialStore {
    private static let pagesMax = 100_000
    private static let uploadHeader = "x-amz-meta-coffer-upload"

    private let client: S3Client
    private let objectsPerList: Int
    private let capabilities: StoreCapabilities
    /// The server said that it has no conditional requests.
    private let lacksConditions = Mutex(false)
    /// The server refused a large object whose MD5 did not come with it. Its SHA-256 always does.
    private let wantsMD5 = Mutex(false)

    /// - Parameters:
    ///   - capabilities: what was found out of this bucket: no name is looked for where the server itself refuses to replace.
    ///   - objectsPerList: how many objects are asked for at a time; no server gives more than 1,000.
    package init(
        _ client: S3Client, capabilities: StoreCapabilities = StoreCapabilities(), objectsPerList: Int = 1_000
    ) {
        self.client = client
        self.capabilities = capabilities
        self.objectsPerList = objectsPerList
    }

    package var place: String { client.address.text }
    /// Each lies in a file meanwhile.
    package let uploadsAtOnce = 8

    package func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await put(name.path, .bytes(bytes), isNew: true)
    }

    package func begin(_ name: ObjectName) async throws(ObjectStoreError) -> any ObjectUpload {
        try SpooledUpload { [self] bytes throws(ObjectStoreError) in
            try await put(name.path, .spooled(bytes), isNew: true)
        }
    }

    package func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError) {
        try await put(name.path, .bytes(bytes), isNew: false)
    }

    package func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8] {
        try await send(S3Client.Request(method: "GET", name: name.path, answerBytesMax: name.bytesMax)).body
    }

    package func part(
        _ range: Range<Int>, of name: ObjectName, into lent: LentMemory?, answerBytesMax: Int
    ) async throws(ObjectStoreError) -> StoreAnswer {
        try await send(
            S3Client.Request(method: "GET", name: name.path, range: range, answerBytesMax: answerBytesMax, lent: lent))
    }

    package func size(of name: ObjectName) async throws(ObjectStoreError) -> Int {
        guard let head = try await head(name.path) else {
            try await askWhy(name.path)
            throw .failed("\(name.path): there and not there")
        }
        guard let size = head.header("content-length").flatMap({ Int($0) }), size >= 0 else {
            throw .failed("\(name.path): its size is not said")
        }
        return size
    }

    package func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName] {
        try await listed(folder).map(\.name)
    }

    package func listed(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ListedObject] {
        let prefix = client.address.key("\(folder.rawValue)/")
        let ownBytes = prefix.utf8.count - folder.rawValue.utf8.count - 1
        var sizes: [ObjectName: Int?] = [:]
        var token: String?
        var tokens: Set<String> = []
        repeat {
            let page = try await page(prefix, after: token)
            for (key, bytes) in zip(page.keys, page.sizes) where key.hasPrefix(prefix) {
                if let name = ObjectName(path: String(decoding: key.utf8.dropFirst(ownBytes), as: UTF8.self)) {
                    sizes.updateValue(bytes, forKey: name)
                }
            }
            // A list that does not move on would never end.
            token = page.next
            if let token, !tokens.insert(token).inserted || tokens.count > Self.pagesMax {
                throw .failed("its list of objects repeats itself")
            }
        } while token != nil
        return sizes.map { ListedObject(name: $0.key, bytes: $0.value) }
    }

    package func delete(_ name: ObjectName) async throws(ObjectStoreError) {
        do { _ = try await send(S3Client.Request(method: "DELETE", name: name.path)) } catch .notFound {}
    }

    // MARK: Requests

    private var bucket: String { "the bucket \(client.address.bucket)" }

    private func send(_ request: S3Client.Request) async throws(ObjectStoreError) -> StoreAnswer {
        do { return try await client.send(request) } catch {
            throw error.storeError(request.name, in: bucket)
        }
    }

    /// Nil if it is not there.
    private func head(_ path: String) async throws(ObjectStoreError) -> StoreAnswer? {
        do {
            return try await client.send(S3Client.Request(method: "HEAD", name: path))
        } catch  where error.kind == .missing {
            return nil
        } catch  where error.kind == .transient {
            throw error.storeError(path, in: bucket)
        } catch {
            do { try await askWhy(path) } catch .notFound { return nil }
            throw error.storeError(path, in: bucket)
        }
    }

    /// The answer to HEAD has no body that would tell a missing object from a missing bucket, or a wrong key from an expired one.
    private func askWhy(_ path: String) async throws(ObjectStoreError) {
        _ = try await send(S3Client.Request(method: "GET", name: path, range: 0..<1))
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
    private func put(
        _ path: String, _ body: StoreBody, isNew: Bool
    ) async throws(ObjectStoreError) {
        if isNew, capabilities.refusesToReplace != true, try await head(path) != nil { throw .exists(path) }
        var generator = SystemRandomNumberGenerator()
        let mark = Hex.encode(generator.bytes(16))
        var request = S3Client.Request(method: "PUT", name: path, body: body)
        request.headers = [("content-type", "application/octet-stream"), (Self.uploadHeader, mark)]
        let hasMD5 = !body.isSpooled || wantsMD5.withLock { $0 }
        if hasMD5 { request.headers.append(("content-md5", Data(body.md5).base64EncodedString())) }
        let isConditional = isNew && !lacksConditions.withLock { $0 }
        if isConditional { request.headers.append(("if-none-match", "*")) }
        do {
            _ = try await client.send(request)
        } catch  where isConditional && error.kind == .notImplemented {
            lacksConditions.withLock { $0 = true }
            try await put(path, body, isNew: isNew)
        } catch  where !hasMD5 && error.kind == .permanent {
            // A bucket that keeps objects for a time wants it; where it does not help, it says so again.
            wantsMD5.withLock { $0 = true }
            try await put(path, body, isNew: isNew)
        } catch  where isConditional && error.kind == .exists {
            // An answer that was lost, and the same upload sent again.
            guard let head = try await head(path), Self.isUpload(mark, body, head) else { throw .exists(path) }
        } catch {
            throw error.storeError(path, in: bucket)
        }
    }

    /// Some servers keep no headers of ours; then the content decides.
    private static func isUpload(_ mark: String, _ body: StoreBody, _ head: StoreAnswer) -> Bool {
        if let kept = head.header(uploadHeader) { return kept == mark }
        return head.header("etag") == "\"\(Hex.encode(body.md5))\""
    }

    // MARK: What the server does

    /// Creates one name twice in turn, and another eight times at once. No reader takes these names for objects.
    package func probed() async throws(ObjectStoreError) -> StoreCapabilities {
        var generator = SystemRandomNumberGenerator()
        let (inTurn, atOnce) = (
            "coffer-probe-\(Hex.encode(generator.bytes(16)))", "coffer-probe-\(Hex.encode(generator.bytes(16)))"
        )
        let found: Result<Bool, ObjectStoreError>
        do throws(ObjectStoreError) {
            found = .success(try await refusesToReplace(inTurn, atOnce))
        } catch {
            found = .failure(error)
        }
        var keepsDeleted: Bool?
        for path in [inTurn, atOnce] {
            guard let answer = try? await client.send(S3Client.Request(method: "DELETE", name: path)) else { continue }
            keepsDeleted = answer.header("x-amz-delete-marker") == "true"
        }
        return StoreCapabilities(refusesToReplace: try found.get(), keepsDeleted: keepsDeleted)
    }

    private func refusesToReplace(_ inTurn: String, _ atOnce: String) async throws(ObjectStoreError) -> Bool {
        // An answer that was lost may make the first one meet itself; what counts is that the second is refused.
        _ = try await isCreated(inTurn)
        guard try await isCreated(inTurn) == false else { return false }
        let winners = await withTaskGroup(of: Bool?.self) { group in
            for _ in 0..<8 { group.addTask { try? await self.isCreated(atOnce) } }
            return await group.reduce(into: 0) { if $1 != false { $0 += 1 } }
        }
        return winners <= 1
    }

    /// Whether it was, as against refused since the name is taken.
    private func isCreated(_ path: String) async throws(ObjectStoreError) -> Bool {
        let bytes = Array("a test".utf8)
        let request = S3Client.Request(
            method: "PUT", name: path,
            headers: [("content-md5", Data(StoreBody.bytes(bytes).md5).base64EncodedString()), ("if-none-match", "*")],
            body: .bytes(bytes))
        do {
            _ = try await client.send(request)
            return true
        } catch  where error.kind == .exists {
            return false
        } catch  where error.kind == .notImplemented {
            return true
        } catch {
            throw error.storeError(path, in: bucket)
        }
    }
}

extension StoreBody {
    fileprivate var isSpooled: Bool { if case .spooled = self { true } else { false } }

    fileprivate var md5: [UInt8] {
        switch self {
        case .none: []
        case .bytes(let bytes):
            bytes.withUnsafeBytes { bytes in
                var md5 = MD5()
                md5.update(bytes)
                return md5.digest()
            }
        case .spooled(let spooled): spooled.md5
        }
    }
}
