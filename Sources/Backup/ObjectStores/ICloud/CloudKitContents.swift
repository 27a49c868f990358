import BackupEngine
import Foundation
import Primitives
import Synchronization

/// What an object's record holds. It is one record, whatever the object's size, so that it is there whole or not at all: small contents
/// lie in it, others in up to five assets.
struct CloudKitContent: Sendable {
    static let recordType = "CofferObject"
    /// A record without its assets may have 1 MB, in base64 too.
    static let inRecordBytesMax = 512 << 10
    /// CloudKit's reference says 50 MB; people find 15.
    static let partBytesMax = 14_000_000
    static let partFields = (1...5).map { "part\($0)" }
    static let bytesMax = partFields.count * partBytesMax
    static let allFields = ["size", "bytes"] + partFields

    struct Part: Sendable {
        var url: String
        /// Where its bytes lie in the object.
        var range: Range<Int>
    }

    let size: Int
    /// Nil if it lies in parts.
    let bytes: [UInt8]?
    let parts: [Part]

    /// - Returns: nil if it is no record of this program's.
    init?(_ record: CloudKitRecord) {
        guard case .number(let size)? = record.fields?["size"]?.value, (0...Self.bytesMax).contains(size)
        else { return nil }
        self.size = size
        var parts: [Part] = []
        for field in Self.partFields {
            guard case .asset(let asset)? = record.fields?[field]?.value else { break }
            let start = parts.last?.range.upperBound ?? 0
            guard let url = asset.downloadURL, asset.size > 0, asset.size <= size - start else { return nil }
            parts.append(Part(url: url, range: start..<start + asset.size))
        }
        self.parts = parts
        guard parts.isEmpty else {
            bytes = nil
            guard parts.last?.range.upperBound == size else { return nil }
            return
        }
        switch record.fields?["bytes"]?.value {
        // Of bytes that are none nothing may come back.
        case nil where size == 0: bytes = []
        case .bytes(let text)?, .text(let text)?:
            guard let content = Data(base64Encoded: text), content.count == size else { return nil }
            bytes = Array(content)
        default: return nil
        }
    }

    /// The ranges of the parts of an object that is not small.
    static func partRanges(byteCount: Int) -> [Range<Int>] {
        stride(from: 0, to: byteCount, by: partBytesMax).map { $0..<min($0 + partBytesMax, byteCount) }
    }
}

/// Brings bytes to the host of assets, and back.
struct CloudKitAssets: Sendable {
    /// How many addresses are asked for, one after the other, before the bytes cannot be sent or had.
    static let rounds = 3
    let client: CloudKitClient

    /// The fields of a record that holds this, whose bytes are on their way or there when it returns; nothing has a name yet.
    ///
    /// - Parameter name: of the record: what was taken for one belongs to no other.
    func fields(_ content: StoreBody, name: String) async throws(StoreFailure) -> [String: CloudKitField] {
        let size = CloudKitField(.number(content.byteCount))
        guard content.byteCount > CloudKitContent.inRecordBytesMax else {
            let bytes = try await content.gathered()
            guard !bytes.isEmpty else { return ["size": size] }
            return ["size": size, "bytes": CloudKitField(.bytes(Data(bytes).base64EncodedString()))]
        }
        guard content.byteCount <= CloudKitContent.bytesMax else {
            throw StoreFailure(.permanent, "it is larger than what a store in iCloud takes")
        }
        var fields = ["size": size]
        let ranges = CloudKitContent.partRanges(byteCount: content.byteCount)
        for (field, range) in zip(CloudKitContent.partFields, ranges) {
            fields[field] = CloudKitField(.asset(try await upload(content.portion(range), field, name: name)))
        }
        return fields
    }

    /// An address to send to ends after a while: then another one is asked for.
    private func upload(
        _ part: StoreBody, _ field: String, name: String
    ) async throws(StoreFailure) -> CloudKitAsset {
        var failures = 0
        while true {
            do { return try await uploadOnce(part, field, name: name) } catch  where error.kind == .missing {
                failures += 1
                guard failures < Self.rounds, !Task.isCancelled else {
                    throw StoreFailure(.transient, "the host of assets takes it at no address (\(error.detail))")
                }
                await client.assets.pause(afterFailures: failures)
            }
        }
    }

    private func uploadOnce(
        _ part: StoreBody, _ field: String, name: String
    ) async throws(StoreFailure) -> CloudKitAsset {
        let wanted = CloudKitPlaces.Wanted(
            recordName: name, recordType: CloudKitContent.recordType, fieldName: field)
        let places: CloudKitPlacesAnswer = try await client.call(
            "assets/upload", CloudKitPlaces(zoneID: client.zone, tokens: [wanted]))
        guard let place = places.tokens.first, place.fieldName == field, client.endpoint.isOwn(place.url) else {
            throw StoreFailure(.permanent, "the place where it should go is not Apple's")
        }
        let answer = try await client.assets.answer { () throws(StoreFailure) in
            Attempts.Attempt(
                StoreRequest(
                    method: "POST", url: place.url, headers: [("content-type", "application/octet-stream")],
                    body: part, answerBytesMax: 64 << 10)
            ) { Self.uploadVerdict($0) }
        }
        let upload: CloudKitUpload = try CloudKitJSON.read(answer)
        guard upload.singleFile.size == part.byteCount else {
            throw StoreFailure(.permanent, "another number of bytes arrived than was sent")
        }
        return upload.singleFile
    }

    /// - Returns: the bytes of a range that lies in the object; throws `.missing` if an address has ended.
    func read(_ range: Range<Int>, of content: CloudKitContent) async throws(StoreFailure) -> [UInt8] {
        if let bytes = content.bytes { return Array(bytes[range]) }
        var found: [UInt8] = []
        found.reserveCapacity(range.count)
        for part in content.parts where part.range.overlaps(range) {
            let wanted = part.range.clamped(to: range)
            let start = part.range.lowerBound
            found += try await download(wanted.lowerBound - start..<wanted.upperBound - start, of: part)
        }
        // The record says that it is all there.
        guard found.count == range.count else { throw Self.otherBytes }
        return found
    }

    private func download(
        _ range: Range<Int>, of part: CloudKitContent.Part
    ) async throws(StoreFailure) -> [UInt8] {
        let url = part.url.replacing("${f}", with: "part")
        guard client.endpoint.isOwn(url) else { throw StoreFailure(.permanent, "the place it lies in is not Apple's") }
        let isWhole = range.count == part.range.count
        let answer = try await client.assets.answer { () throws(StoreFailure) in
            Attempts.Attempt(
                StoreRequest(
                    method: "GET", url: url, headers: isWhole ? [] : [ContentRange.asking(for: range)],
                    answerBytesMax: part.range.count)
            ) { Self.downloadVerdict($0, range, partBytes: part.range.count) }
        }
        return answer.body.count == range.count ? answer.body : Array(answer.body[range])
    }

    // The host of assets is not the one that keeps records, and says nothing of an object: what the record tells holds. An address that
    // it does not take has ended, and that is all that it means.

    private static let otherBytes = StoreFailure(.transient, "other bytes were sent than were asked for")

    private static func uploadVerdict(_ answer: StoreAnswer) -> Attempts.Verdict {
        switch answer.status {
        case 200...299: .done
        case 413: .failed(StoreFailure(.permanent, "it is larger than what iCloud takes (\(detail(answer)))"))
        // An address may take bytes once, and the answer to that was lost.
        default: .failed(failure(answer) ?? StoreFailure(.missing, detail(answer)))
        }
    }

    /// - Parameters:
    ///   - range: that was asked for, in the part.
    ///   - partBytes: of the whole part, as the record says.
    private static func downloadVerdict(
        _ answer: StoreAnswer, _ range: Range<Int>, partBytes: Int
    ) -> Attempts.Verdict {
        switch answer.status {
        // Anything in between may answer 200 with a page of its own.
        case 200: return answer.body.count == partBytes ? .done : .failed(otherBytes)
        case 206:
            guard let given = answer.header("content-range").flatMap(ContentRange.init), given.range == range,
                answer.body.count == range.count, given.total == nil || given.total == partBytes
            else { return .failed(otherBytes) }
            return .done
        case 401, 403, 404, 410, 416: return .failed(StoreFailure(.missing, detail(answer)))
        default: return .failed(failure(answer) ?? StoreFailure(.permanent, detail(answer)))
        }
    }

    /// Nil if the address is to blame.
    private static func failure(_ answer: StoreAnswer) -> StoreFailure? {
        switch answer.status {
        case 408, 421, 425, 429, 500...599:
            StoreFailure(.transient, detail(answer), retryAfter: answer.retryAfterSeconds)
        case 400...499: nil
        default: StoreFailure(.permanent, detail(answer))
        }
    }

    private static func detail(_ answer: StoreAnswer) -> String { "status \(answer.status) of the host of assets" }
}
