import Primitives
import RecoveryProtocol
import Synchronization
import VaultCore

/// The vault's channel keys: in memory only, a new one each day, the old one for an hour beside it. What was recorded
/// on the way opens for at most 25 hours, and not at all after a restart.
final class ChannelKeys: Sendable {
    private struct Entry: Sendable {
        let key: ChannelKey
        let madeUptimeSeconds: UInt64

        func age(at now: Moment) -> UInt64 {
            now.uptimeSeconds > madeUptimeSeconds ? now.uptimeSeconds - madeUptimeSeconds : 0
        }
    }

    /// A client whose clock is this much behind still takes a new key.
    private static let backdatingSeconds: UInt64 = 300

    private let identity: SigningKey
    private let entries = Mutex<[Entry]>([])

    init(identity: SigningKey) { self.identity = identity }

    /// Today's key. Ages are counted by the process's own clock: setting the machine's clock back keeps no key alive.
    func current(fleetID: FleetID, at now: Moment) throws -> ChannelKey {
        try entries.withLock { entries in
            entries.removeAll { Self.isOver($0, at: now) || $0.key.announcement.fleetID != fleetID }
            if let last = entries.last, last.age(at: now) < KeyAnnouncement.validitySeconds { return last.key }
            var generator = SystemRandomNumberGenerator()
            let notBefore = Timestamp(unixSeconds: now.wallSeconds).subtracting(seconds: Self.backdatingSeconds)
            let key = try ChannelKey(
                fleetID: fleetID, identity: identity, notBefore: notBefore, using: &generator)
            entries.append(Entry(key: key, madeUptimeSeconds: now.uptimeSeconds))
            return key
        }
    }

    func key(_ id: ChannelKeyID, at now: Moment) -> ChannelKey? {
        entries.withLock { entries in
            entries.removeAll { Self.isOver($0, at: now) }
            return entries.first { $0.key.announcement.keyID == id }?.key
        }
    }

    private static func isOver(_ entry: Entry, at now: Moment) -> Bool {
        entry.age(at: now) >= KeyAnnouncement.validitySeconds + KeyAnnouncement.overlapSeconds
    }
}
