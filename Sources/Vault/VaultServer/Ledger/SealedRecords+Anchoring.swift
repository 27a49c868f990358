package import Primitives
package import VaultCore

extension SealedRecords {
    /// What a store says of its anchor, before anything is proved by that anchor.
    package struct Anchoring: Sendable {
        package let settings: AnchorSettings
        package let identity: SigningKey
    }

    /// Reads it. Only a holder of the data key can have written it, though the store may be an old one; both are chosen
    /// once, when the vault is made, so that an old one says the same.
    package static func anchoring(
        of store: any RecordStore, dataKey: SecretBytes
    ) throws(LedgerError) -> Anchoring {
        let sealer = RecordSealer(dataKey: dataKey)
        let records: [StoredRecord?]
        do { records = try store.load([sealer.anchorSettings, sealer.identity]).records } catch {
            throw LedgerError(error)
        }
        guard records.count == 2, let settings = records[0], let identity = records[1] else {
            throw .damaged("the store holds no vault")
        }
        do {
            return Anchoring(
                settings: try sealer.open(AnchorSettings.self, settings),
                identity: try sealer.open(VaultIdentity.self, identity).signingKey)
        } catch {
            throw .damaged("the vault's identity does not open: it was altered, or the data key is another")
        }
    }
}
