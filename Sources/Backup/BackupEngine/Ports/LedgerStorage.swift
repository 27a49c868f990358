/// Where this device keeps which packs it has read, and when. Only a cache: if it is missing or altered, reading begins
/// again.
package protocol LedgerStorage: Sendable {
    func load() -> [UInt8]?
    /// Replaces what was kept; what fails is no more than forgotten.
    func save(_ bytes: [UInt8])
}
