/// Where a witness keeps the heads that it saw: outside of any vault's store.
package protocol WitnessMemory: Sendable {
    func vaults() throws(AnchorError) -> [WatchedVault]

    /// Returns when it will be remembered whatever happens.
    func keep(_ vault: WatchedVault) throws(AnchorError)
}
