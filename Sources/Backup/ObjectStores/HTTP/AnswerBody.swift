/// Memory that is lent for a part of an object.
// Unchecked, for it is a pointer: its owner waits until the request is over, and nothing is written to it later.
package struct LentMemory: @unchecked Sendable {
    /// The part's place in the object.
    package let range: Range<Int>
    package let bytes: UnsafeMutableRawBufferPointer

    package init(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        range = offset..<offset + bytes.count
        self.bytes = bytes
    }
}

/// An answer's body as it comes.
struct AnswerBody {
    /// More is not set aside before it came, whatever is announced: a frame and its tag are less.
    private static let reservedBytesMax = 2 << 20

    private let bytesMax: Int
    private let lent: LentMemory?
    private(set) var bytes: [UInt8] = []
    private(set) var lentBytes = 0

    /// - Parameter head: the answer without its body.
    init(of head: StoreAnswer, to request: StoreRequest) {
        // Some servers send a part with the status of a whole.
        let part = (200...299).contains(head.status) ? head.contentRange?.range : nil
        lent = request.lent.flatMap { $0.range == part ? $0 : nil }
        bytesMax = lent?.bytes.count ?? request.answerBytesMax
        guard lent == nil, request.method != "HEAD" else { return }
        let announced = head.header("content-length").flatMap { Int($0) } ?? 0
        bytes.reserveCapacity(min(max(announced, 0), bytesMax, Self.reservedBytesMax))
    }

    mutating func append(_ part: UnsafeRawBufferPointer) throws(StoreTransportError) {
        guard part.count <= bytesMax - bytes.count - lentBytes else { throw .tooLong }
        if let lent {
            UnsafeMutableRawBufferPointer(rebasing: lent.bytes[lentBytes...]).copyMemory(from: part)
            lentBytes += part.count
        } else {
            bytes.append(contentsOf: part)
        }
    }
}
