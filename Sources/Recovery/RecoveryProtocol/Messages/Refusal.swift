package import ByteCoding

/// Why a vault did not do what it was asked. A closed list; nothing refused is charged, and nothing is changed.
package enum Refusal: Hashable, Sendable {
    /// Not a request of this version.
    case malformed
    /// The token is missing, badly signed, not of a known tenant, or does not allow this operation.
    case unauthorised
    case tokenExpired
    /// The token is for another vault, or not for exactly one.
    case wrongVault
    /// The account has no registration here.
    case notRegistered
    /// The account has another registration, or this one was retired.
    case unknownRegistration
    /// The account changed since the Status that the request builds on.
    case staleSerial(current: UInt64)
    case tooEarly(notBefore: Timestamp)
    /// No attempt is left; repeats of receipts and Confirm are answered until the share is erased.
    case destructionPending(erasedAt: Timestamp)
    case destroyed(at: Timestamp)
    /// The tenant's policy forbids it.
    case policyRefused(PolicyRule)
    /// The share does not belong to the record, or the record to this vault.
    case badShare
    case badSignature
    /// The record is not of this vault's fleet file. With the version that the vault has.
    case fleetMismatch(vaultVersion: UInt32)
    /// Another blinded element was already evaluated under this attempt id.
    case attemptReused
    /// No such record is waiting to be activated.
    case notPrepared
    /// The account has an active registration, its management key did not sign, and the tenant lets nobody else
    /// replace it.
    case oldKeyNeeded
    /// Too many requests for this account, or too much at once.
    case busy(retryAfterSeconds: UInt32)
    /// The tenant's circuit breaker is open: too many failed attempts everywhere.
    case suspended
    /// The vault cannot serve now; its operator is told.
    case unavailable
    /// Somebody without the key asked for another change before, which may be made from this time on.
    case changeWaiting(allowed: Timestamp)
    /// The vault came back from a backup: first the management key must thaw the registration.
    case frozen
}

/// The rules that a tenant may set.
package enum PolicyRule: UInt8, Hashable, Sendable {
    /// Argon2id would be cheaper than the tenant allows.
    case argon2TooCheap = 1
    /// The tenant takes no new registrations.
    case registrationClosed = 2
}

extension Refusal: ByteCodable {
    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch try reader.uint8() {
        case 1: self = .malformed
        case 2: self = .unauthorised
        case 3: self = .tokenExpired
        case 4: self = .wrongVault
        case 5: self = .notRegistered
        case 6: self = .unknownRegistration
        case 7: self = .staleSerial(current: try reader.uint64())
        case 8: self = .tooEarly(notBefore: try Timestamp(from: &reader))
        case 9: self = .destructionPending(erasedAt: try Timestamp(from: &reader))
        case 10: self = .destroyed(at: try Timestamp(from: &reader))
        case 11:
            guard let rule = PolicyRule(rawValue: try reader.uint8()) else { throw .invalidValue }
            self = .policyRefused(rule)
        case 12: self = .badShare
        case 13: self = .badSignature
        case 14: self = .fleetMismatch(vaultVersion: try reader.uint32())
        case 15: self = .attemptReused
        case 16: self = .notPrepared
        case 17: self = .oldKeyNeeded
        case 18: self = .busy(retryAfterSeconds: try reader.uint32())
        case 19: self = .suspended
        case 20: self = .unavailable
        case 21: self = .changeWaiting(allowed: try Timestamp(from: &reader))
        case 22: self = .frozen
        default: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        writer.uint8(number)
        switch self {
        case .staleSerial(let current): writer.uint64(current)
        case .tooEarly(let time), .destructionPending(let time), .destroyed(let time), .changeWaiting(let time):
            try time.encode(into: &writer)
        case .policyRefused(let rule): writer.uint8(rule.rawValue)
        case .fleetMismatch(let version): writer.uint32(version)
        case .busy(let seconds): writer.uint32(seconds)
        case .malformed, .unauthorised, .tokenExpired, .wrongVault, .notRegistered, .unknownRegistration, .badShare,
            .badSignature, .attemptReused, .notPrepared, .oldKeyNeeded, .suspended, .unavailable, .frozen:
            break
        }
    }

    private var number: UInt8 {
        switch self {
        case .malformed: 1
        case .unauthorised: 2
        case .tokenExpired: 3
        case .wrongVault: 4
        case .notRegistered: 5
        case .unknownRegistration: 6
        case .staleSerial: 7
        case .tooEarly: 8
        case .destructionPending: 9
        case .destroyed: 10
        case .policyRefused: 11
        case .badShare: 12
        case .badSignature: 13
        case .fleetMismatch: 14
        case .attemptReused: 15
        case .notPrepared: 16
        case .oldKeyNeeded: 17
        case .busy: 18
        case .suspended: 19
        case .unavailable: 20
        case .changeWaiting: 21
        case .frozen: 22
        }
    }
}
