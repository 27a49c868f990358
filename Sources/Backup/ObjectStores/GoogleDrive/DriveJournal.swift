import Foundation

/// What this device has lately written to and deleted from a folder in Drive, and the folder's id.
///
/// Drive's lists lag behind: what was written a moment ago may be missing, and what was deleted still be there. It is kept on the
/// device, so that the next command knows it too. It is a cache: without it a device sees for a minute what lists say.
package struct DriveJournal: Codable, Equatable, Sendable {
    enum State: String, Codable, Sendable {
        /// Its id was chosen, and the upload begun; what came of it is not known.
        case begun
        case there
        case gone

        fileprivate var turn: Int {
            switch self {
            case .begun: 0
            case .there: 1
            case .gone: 2
            }
        }
    }

    struct Write: Codable, Equatable, Sendable {
        var id: String
        /// The object's path.
        var name: String
        /// Since 1970.
        var seconds: UInt64
        var state: State

        /// Or the same; within one second what ends a file's life comes last.
        func isLater(than other: Write) -> Bool { (seconds, state.turn) >= (other.seconds, other.state.turn) }
    }

    /// Lists lag for seconds.
    static let keptSeconds: UInt64 = 180

    var folder: String?
    /// The file that is the header; kept without an end.
    var header: String?
    private(set) var writes: [Write] = []

    init() {}

    /// Of a file that this program wrote; from any other nothing is taken.
    init(reading bytes: [UInt8]?) {
        if let bytes, let journal = try? JSONDecoder().decode(Self.self, from: Data(bytes)) { self = journal }
    }

    func text() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // It holds texts and numbers, and so has an encoding.
        return ((try? encoder.encode(self)).map { Array($0) } ?? []) + [0x0a]
    }

    mutating func note(_ state: State, _ name: String, id: String, atSeconds now: UInt64) {
        forget(before: now)
        writes.removeAll { $0.id == id }
        writes.append(Write(id: id, name: name, seconds: now, state: state))
    }

    /// With what another program of this device knows; of one file the later word counts.
    mutating func merge(_ other: DriveJournal, atSeconds now: UInt64) {
        folder = folder ?? other.folder
        for write in other.writes where !writes.contains(where: { $0.id == write.id && $0.isLater(than: write) }) {
            writes.removeAll { $0.id == write.id }
            writes.append(write)
        }
        forget(before: now)
        header = header ?? other.header
        if writes.contains(where: { $0.id == header && $0.state == .gone }) { header = nil }
    }

    /// A clock that was set back must not keep them for ever.
    private mutating func forget(before now: UInt64) {
        writes.removeAll { $0.seconds > now || now - $0.seconds > Self.keptSeconds }
    }

    /// - Parameter now: since 1970; what is older is in the lists.
    func recent(atSeconds now: UInt64) -> [Write] {
        writes.filter { $0.seconds <= now && now - $0.seconds <= Self.keptSeconds }
    }
}

/// Where a journal is kept between runs: a file in the device's folder, or a test's memory. What cannot be kept costs no more than
/// a journal that is lost.
package protocol DriveNotes: Sendable {
    func read() -> [UInt8]?
    /// Keeps what a change makes of what is kept now, which another program may have written; one change at a time.
    func change(_ change: ([UInt8]?) -> [UInt8])
}
