/// What is known of an upload that goes on after any break, and what comes next (Drive API, "Perform a resumable upload").
///
/// Only what the server has said counts: after a request whose answer did not come it is asked how much it has.
struct ResumableUpload: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        /// Ask for a place to send to.
        case begin
        /// `Content-Range: bytes */TOTAL`
        case ask
        /// `Content-Range: bytes OFFSET-LAST/TOTAL`, all that is left.
        case send(from: Int)
    }

    enum Stuck: Error, Equatable, Sendable {
        /// The server takes nothing more, and does not say that it has all.
        case nothingMoves
        /// It has more than there is, or says nothing that can be understood.
        case misunderstood
        /// Every place it gave was gone again.
        case neverKept
    }

    private static let beginningsMax = 4
    private static let idleAnswersMax = 5

    let byteCount: Int
    /// Whoever has it can write to the upload: as secret as a token.
    private(set) var place: SecretPlace?
    private var storedBytes = 0
    private var isCertain = true
    private var beginnings = 0
    private var idleAnswers = 0

    init(byteCount: Int) { self.byteCount = byteCount }

    var step: Step {
        guard place != nil else { return .begin }
        return isCertain && storedBytes < byteCount ? .send(from: storedBytes) : .ask
    }

    /// Before anything goes out: from now on only an answer tells what the server has.
    mutating func willSend() { isCertain = false }

    mutating func began(at place: SecretPlace) throws(Stuck) {
        beginnings += 1
        guard beginnings <= Self.beginningsMax else { throw .neverKept }
        self.place = place
        storedBytes = 0
        isCertain = true
    }

    /// The place is not known there any more, or will not have what is sent: all begins again.
    mutating func isGone() {
        place = nil
        isCertain = true
    }

    /// Status 308.
    ///
    /// - Parameter range: `bytes=0-LAST` of what is stored; nil if nothing is.
    mutating func isIncomplete(range: String?) throws(Stuck) {
        let stored = try Self.storedBytes(range)
        guard stored <= byteCount else { throw .misunderstood }
        idleAnswers = stored > storedBytes ? 0 : idleAnswers + 1
        guard idleAnswers <= Self.idleAnswersMax else { throw .nothingMoves }
        storedBytes = stored
        isCertain = true
    }

    private static func storedBytes(_ range: String?) throws(Stuck) -> Int {
        guard let range else { return 0 }
        let ends = range.dropFirst("bytes=".count).split(separator: "-", omittingEmptySubsequences: false)
        guard range.hasPrefix("bytes="), ends.count == 2, ends[0] == "0", let last = Int(ends[1]), last >= 0,
            last < .max
        else { throw .misunderstood }
        return last + 1
    }

    func contentRange(of step: Step) -> String? {
        switch step {
        case .begin: nil
        case .ask: "bytes */\(byteCount)"
        case .send(let offset): "bytes \(offset)-\(byteCount - 1)/\(byteCount)"
        }
    }
}

/// The URL of an upload under way. It does not print.
struct SecretPlace: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    let url: String

    var description: String { "<a secret URL>" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
