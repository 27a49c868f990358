package import ByteCoding

/// The ledger's two clocks, in seconds. Neither ever falls, whatever is done to the machine's clock.
package struct LedgerTime: ByteCodable, Equatable, Sendable {
    /// Like the wall clock, but it never goes back: a clock set back would otherwise bring old waits and expiries back.
    package var seconds: UInt64
    /// Time during which the vault served. The grace before destruction counts in it: a vault that was down for three
    /// days must not come up and destroy what its owner had no chance to ask for again.
    package var servingSeconds: UInt64

    package init(seconds: UInt64, servingSeconds: UInt64) {
        self.seconds = seconds
        self.servingSeconds = servingSeconds
    }

    package static let start = LedgerTime(seconds: 0, servingSeconds: 0)

    /// The time at `now`, when the time was `self` at `before`, in the same process.
    ///
    /// When the wall clock is behind (it was ahead once, and was put right), the time goes on at the pace of the
    /// process's own clock; otherwise every wait would stand still until the wall clock caught up.
    package func advanced(from before: Moment, to now: Moment) -> LedgerTime {
        let elapsed = now.uptimeSeconds > before.uptimeSeconds ? now.uptimeSeconds - before.uptimeSeconds : 0
        let ahead = seconds.addingReportingOverflow(elapsed)
        let serving = servingSeconds.addingReportingOverflow(elapsed)
        return LedgerTime(
            seconds: max(now.wallSeconds, ahead.overflow ? .max : ahead.partialValue),
            servingSeconds: serving.overflow ? .max : serving.partialValue)
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        seconds = try reader.uint64()
        servingSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint64(seconds)
        writer.uint64(servingSeconds)
    }
}

/// What the ledger writes beside every batch. (The Merkle root and the hash of the head before belong here.)
package struct LedgerHead: ByteCodable, Equatable, Sendable {
    package var time: LedgerTime

    package init(time: LedgerTime) { self.time = time }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        time = try LedgerTime(from: &reader)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try time.encode(into: &writer)
    }
}
