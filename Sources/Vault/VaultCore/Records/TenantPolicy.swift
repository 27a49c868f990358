package import ByteCoding

/// What one tenant (one app) allows at this vault.
package struct TenantPolicy: ByteCodable, Equatable, Sendable {
    /// Attempts per registration at this vault; nil: what the fleet file promises, ⌊G·t/n⌋.
    package var budget: UInt8?
    /// The wait in seconds before the attempt with 1, 2, 3 … attempts left. Waits count from the *end* of the budget:
    /// counted from the first attempts they would let a thief destroy a share within 90 seconds.
    package var waitsSeconds: [UInt32]
    /// Serving time in seconds between the last charge and destruction.
    package var graceSeconds: UInt32
    /// After which a registration that was prepared and never activated is erased.
    package var pendingSeconds: UInt32
    /// The weakest Argon2id that the tenant accepts in a registration.
    package var memoryKiBMin: UInt32
    package var passesMin: UInt32
    /// Above this many charged attempts in an hour that nobody confirmed the tenant's new attempts are refused,
    /// uncharged: a tenant whose tokens are stolen in bulk must not cost all its people their backups.
    package var chargesPerHourMax: UInt32
    /// Above this many destructions in an hour likewise: they come days after the attempts that caused them.
    package var destructionsPerHourMax: UInt32
    /// Requests of one account in a minute that are neither signed nor repeats.
    package var requestsPerMinuteMax: UInt32

    /// Serving time in seconds between a request to replace or delete a registration without its key and the change.
    /// Nil: never.
    package var replacementDelaySeconds: UInt32?

    package static let waitCountMax = 32

    package init() {
        budget = nil
        waitsSeconds = [24 * 3600, 4 * 3600, 15 * 60]
        graceSeconds = 72 * 3600
        pendingSeconds = 24 * 3600
        memoryKiBMin = 19 * 1024
        passesMin = 1
        chargesPerHourMax = 1000
        requestsPerMinuteMax = 300
        destructionsPerHourMax = 100
        replacementDelaySeconds = 14 * 24 * 3600
    }

    /// The wait before the next attempt when `attemptsLeft` are left.
    func waitSeconds(attemptsLeft: Int) -> UInt64 {
        let index = attemptsLeft - 1
        guard waitsSeconds.indices.contains(index) else { return 0 }
        return UInt64(waitsSeconds[index])
    }

    /// From a guesser's first attempt to his last, and to the destruction of the share, if he never rests: what an owner
    /// has to notice it.
    package func secondsToLastAttempt(budget: Int) -> UInt64 {
        (1...max(budget, 1)).dropLast().reduce(0) { $0.saturatingAdd(waitSeconds(attemptsLeft: $1)) }
    }

    package func secondsToDestruction(budget: Int) -> UInt64 {
        secondsToLastAttempt(budget: budget).saturatingAdd(UInt64(graceSeconds))
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        budget = try reader.optional { reader throws(ByteCodingError) in try reader.uint8() }
        waitsSeconds = try reader.list(0...Self.waitCountMax * 4) { reader throws(ByteCodingError) in
            try reader.uint32()
        }
        graceSeconds = try reader.uint32()
        pendingSeconds = try reader.uint32()
        memoryKiBMin = try reader.uint32()
        passesMin = try reader.uint32()
        chargesPerHourMax = try reader.uint32()
        requestsPerMinuteMax = try reader.uint32()
        destructionsPerHourMax = try reader.uint32()
        replacementDelaySeconds = try reader.optional { reader throws(ByteCodingError) in try reader.uint32() }
        guard budget != 0 else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        guard budget != 0 else { throw .invalidValue }
        try writer.optional(budget) { budget, writer throws(ByteCodingError) in writer.uint8(budget) }
        try writer.list(waitsSeconds, 0...Self.waitCountMax * 4) { seconds, writer throws(ByteCodingError) in
            writer.uint32(seconds)
        }
        writer.uint32(graceSeconds)
        writer.uint32(pendingSeconds)
        writer.uint32(memoryKiBMin)
        writer.uint32(passesMin)
        writer.uint32(chargesPerHourMax)
        writer.uint32(requestsPerMinuteMax)
        writer.uint32(destructionsPerHourMax)
        try writer.optional(replacementDelaySeconds) { delay, writer throws(ByteCodingError) in writer.uint32(delay) }
    }
}
