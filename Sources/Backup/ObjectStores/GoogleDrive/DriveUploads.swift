import ByteCoding
import Foundation
import Primitives
import Synchronization

/// Sends contents to Drive, whole and proven: small ones in one request, others so that a break costs only what was on its way.
struct DriveUploads: Sendable {
    /// Drive's own advice.
    private static let inOneRequestBytesMax = 5 << 20
    static let path = "/upload/drive/v3/files"
    private static let type = "application/octet-stream"
    /// Of the place of an upload, whoever says it: beginning again costs no more than time.
    private static let placeIsGone: Set<Int> = [404, 410]

    let client: DriveClient

    /// Makes a file.
    ///
    /// - Parameter file: its id was chosen before, so that a request whose answer was lost makes no second one.
    /// - Returns: what Drive says of it; throws `.exists` if the id is taken by another content.
    func create(_ file: DriveNewFile, _ content: DriveContent) async throws(StoreFailure) -> DriveFile {
        var made: DriveFile?
        do {
            made = try await client.whileBusy { () throws(StoreFailure) in
                await self.client.waitForCreation()
                return try await self.send(file, content)
            }
        } catch  where error.kind == .exists {
            // Its id is ours: an earlier request made it, and its answer was lost.
        }
        if let made, try await content.isWhole(in: made) { return made }
        let found: DriveFile
        do { found = try await self.file(file.id) } catch  where error.kind == .missing {
            throw StoreFailure(.permanent, "what was sent was deleted again")
        }
        guard try await content.isWhole(in: found) else {
            guard made != nil else { throw StoreFailure(.exists, "another content has this id") }
            // Nothing may stand under the name that was altered on its way.
            _ = try? await delete(file.id)
            throw Self.altered
        }
        return found
    }

    /// Writes another content into a file, atomically.
    func replace(_ id: String, _ content: DriveContent) async throws(StoreFailure) {
        let body = content.body(from: 0)
        let answer = try await client.whileBusy { () throws(StoreFailure) in
            try await self.client.send(
                .init(
                    method: "PATCH", url: "\(Self.path)/\(PercentEncoding.encoded(id))",
                    query: [("uploadType", "media"), ("fields", DriveFile.fields)],
                    headers: [("content-type", Self.type)], body: body))
        }
        if try await content.isWhole(in: try DriveJSON.read(answer)) { return }
        guard try await content.isWhole(in: try await file(id)) else { throw Self.altered }
    }

    private static let altered = StoreFailure(.permanent, "what Drive has of it is not what was sent")

    func file(_ id: String) async throws(StoreFailure) -> DriveFile {
        try DriveJSON.read(
            try await client.send(
                .init(url: "/drive/v3/files/\(PercentEncoding.encoded(id))", query: [("fields", DriveFile.fields)])))
    }

    /// For good, not into the trash. Throws `.missing` if it is not there, perhaps since an answer was lost.
    func delete(_ id: String) async throws(StoreFailure) {
        _ = try await client.send(.init(method: "DELETE", url: "/drive/v3/files/\(PercentEncoding.encoded(id))"))
    }

    /// The same, tried once, whatever comes of it.
    ///
    /// - Returns: whether there was something to delete.
    func deleteOnce(_ id: String) async -> Bool {
        let answer = try? await client.send(
            .init(method: "DELETE", url: "/drive/v3/files/\(PercentEncoding.encoded(id))", isTriedAgain: false))
        return answer != nil
    }

    func makeFolder(_ folder: DriveNewFile) async throws(StoreFailure) -> DriveFile {
        await client.waitForCreation()
        do {
            return try DriveJSON.read(
                try await client.send(
                    .init(
                        method: "POST", url: "/drive/v3/files", query: [("fields", DriveFile.fields)],
                        headers: [("content-type", "application/json; charset=UTF-8")],
                        body: .bytes(try DriveJSON.text(folder)))))
        } catch  where error.kind == .exists {
            return try await file(folder.id)
        }
    }

    private func send(_ file: DriveNewFile, _ content: DriveContent) async throws(StoreFailure) -> DriveFile {
        guard content.byteCount > Self.inOneRequestBytesMax else { return try await sendAtOnce(file, content) }
        return try await sendResumably(file, content)
    }

    private func sendAtOnce(_ file: DriveNewFile, _ content: DriveContent) async throws(StoreFailure) -> DriveFile {
        var generator = SystemRandomNumberGenerator()
        let boundary = Hex.encode(generator.bytes(16))
        func part(_ type: String) -> String { "--\(boundary)\r\ncontent-type: \(type)\r\n\r\n" }
        var body = Array(part("application/json; charset=UTF-8").utf8)
        body += try DriveJSON.text(file)
        body += Array("\r\n\(part(file.mimeType))".utf8)
        body += try await content.gathered()
        body += Array("\r\n--\(boundary)--\r\n".utf8)
        let answer = try await client.send(
            .init(
                method: "POST", url: Self.path, query: [("uploadType", "multipart"), ("fields", DriveFile.fields)],
                headers: [("content-type", "multipart/related; boundary=\(boundary)")], body: .bytes(body)))
        return try DriveJSON.read(answer)
    }

    // MARK: Resumable

    /// What is known of it is shared with the tries of each request.
    private final class UnderWay: Sendable {
        let upload: Mutex<ResumableUpload>

        init(byteCount: Int) { upload = Mutex(ResumableUpload(byteCount: byteCount)) }
    }

    private func sendResumably(_ file: DriveNewFile, _ content: DriveContent) async throws(StoreFailure) -> DriveFile {
        let underWay = UnderWay(byteCount: content.byteCount)
        while true {
            let isBeginning = underWay.upload.withLock { $0.step == .begin }
            let answer: StoreAnswer
            do {
                answer = isBeginning ? try await begin(file, content) : try await goOn(underWay, content)
            } catch  where !isBeginning && error.kind == .permanent {
                underWay.upload.withLock { $0.isGone() }
                continue
            }
            if !isBeginning, Self.placeIsGone.contains(answer.status) {
                underWay.upload.withLock { $0.isGone() }
                continue
            }
            if !isBeginning, answer.status != 308 { return try DriveJSON.read(answer) }
            do throws(ResumableUpload.Stuck) {
                let place = isBeginning ? try place(answer) : nil
                try underWay.upload.withLock { (upload) throws(ResumableUpload.Stuck) in
                    guard let place else { return try upload.isIncomplete(range: answer.header("range")) }
                    try upload.began(at: place)
                }
            } catch {
                throw StoreFailure(.permanent, error.words)
            }
        }
    }

    private func begin(_ file: DriveNewFile, _ content: DriveContent) async throws(StoreFailure) -> StoreAnswer {
        try await client.send(
            .init(
                method: "POST", url: Self.path, query: [("uploadType", "resumable"), ("fields", DriveFile.fields)],
                headers: [
                    ("content-type", "application/json; charset=UTF-8"), ("x-upload-content-type", file.mimeType),
                    ("x-upload-content-length", String(content.byteCount)),
                ], body: .bytes(try DriveJSON.text(file))))
    }

    /// The access token goes along, so the place must be Google's.
    private func place(_ answer: StoreAnswer) throws(ResumableUpload.Stuck) -> SecretPlace {
        guard let url = answer.header("location"), client.endpoints.isOwn(uploadURL: url) else { throw .misunderstood }
        return SecretPlace(url: url)
    }

    /// Each try first asks what came of the one before.
    private func goOn(
        _ underWay: UnderWay, _ content: DriveContent
    ) async throws(StoreFailure) -> StoreAnswer {
        try await client.send { () throws(StoreFailure) in
            let (place, step, range) = underWay.upload.withLock { upload in
                let step = upload.step
                defer { upload.willSend() }
                return (upload.place, step, upload.contentRange(of: step))
            }
            guard let place, let range else { throw StoreFailure(.permanent, "an upload without a place") }
            var call = DriveClient.Call(method: "PUT", url: place.url, headers: [("content-range", range)])
            if case .send(let offset) = step { call.body = content.body(from: offset) }
            call.alsoAccepting = Self.placeIsGone.union([308])
            return call
        }
    }
}

extension ResumableUpload.Stuck {
    fileprivate var words: String {
        switch self {
        case .nothingMoves: "an upload does not get on: Drive takes nothing more of it"
        case .misunderstood: "Drive's answer to an upload is not understood"
        case .neverKept: "Drive forgets uploads that are under way"
        }
    }
}
