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
    private static let rounds = 3
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
        for _ in 1..<Self.rounds {
            do { return try await uploadOnce(part, field, name: name) } catch  where error.kind == .missing {}
        }
        do { return try await uploadOnce(part, field, name: name) } catch  where error.kind == .missing {
            throw StoreFailure(.transient, "the host of assets does not know where it should go (\(error.detail))")
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
            ) { Self.verdict($0, isUpload: true) }
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
        guard found.count == range.count else { throw StoreFailure(.rangeInvalid, "") }
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
            ) { answer in
                answer.breaksOff(in: range)
                    ? .failed(StoreFailure(.transient, "a shorter part was sent than was asked for"))
                    : Self.verdict(answer, isUpload: false)
            }
        }
        do { return try answer.part(range, of: "") } catch {
            if case .failed = error { throw StoreFailure(.permanent, "another part was sent than was asked for") }
            throw StoreFailure(.rangeInvalid, "")
        }
    }

    /// The host of assets says little: an address that it does not take has ended, and that is all that it means.
    private static func verdict(_ answer: StoreAnswer, isUpload: Bool) -> Attempts.Verdict {
        let detail = "status \(answer.status) of the host of assets"
        switch answer.status {
        case 200...299: return .done
        case 401, 403, 404, 410: return .failed(StoreFailure(.missing, detail))
        case 408, 421, 425, 429, 500...599:
            return .failed(StoreFailure(.transient, detail, retryAfter: answer.retryAfterSeconds))
        case 413: return .failed(StoreFailure(.permanent, "it is larger than what iCloud takes (\(detail))"))
        case 416 where !isUpload: return .failed(StoreFailure(.rangeInvalid, detail))
        default: return .failed(StoreFailure(.permanent, detail))
        }
    }
}
