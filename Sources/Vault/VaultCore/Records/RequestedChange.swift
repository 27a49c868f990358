package import ByteCoding
package import RecoveryProtocol

/// What somebody without the old key asked for: to replace the registration, or to delete it.
///
/// Its delay counts in serving time, not in the wall clock's: an attacker who sets the clock forward brings nothing
/// nearer, and the owner has the whole delay of a vault that is there to be told otherwise.
package struct RequestedChange: ByteCodable, Equatable, Sendable {
    /// Nil: a deletion.
    package let replacement: Registration?
    /// In the ledger's time; for people.
    package let requestedSeconds: UInt64
    /// Serving time from which the change is made when it is asked for again.
    package let allowedServingSeconds: UInt64
    /// Serving time at which the request lapses.
    package let lapsesServingSeconds: UInt64

    package init(
        replacement: Registration?, requestedSeconds: UInt64, allowedServingSeconds: UInt64,
        lapsesServingSeconds: UInt64
    ) {
        self.replacement = replacement
        self.requestedSeconds = requestedSeconds
        self.allowedServingSeconds = allowedServingSeconds
        self.lapsesServingSeconds = lapsesServingSeconds
    }

    /// When it may be made, if the vault goes on serving.
    package func allowed(at time: LedgerTime) -> Timestamp {
        Timestamp(unixSeconds: time.seconds)
            .adding(seconds: allowedServingSeconds.saturatingSubtract(time.servingSeconds))
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        replacement = try reader.optional { reader throws(ByteCodingError) in try Registration(from: &reader) }
        requestedSeconds = try reader.uint64()
        allowedServingSeconds = try reader.uint64()
        lapsesServingSeconds = try reader.uint64()
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.optional(replacement) { registration, writer throws(ByteCodingError) in
            try registration.encode(into: &writer)
        }
        writer.uint64(requestedSeconds)
        writer.uint64(allowedServingSeconds)
        writer.uint64(lapsesServingSeconds)
    }
}
