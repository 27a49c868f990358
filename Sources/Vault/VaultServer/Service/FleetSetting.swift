package import RecoveryProtocol
import VaultCore

/// Why a vault does not take a fleet file. It keeps the one that it has.
package enum FleetSettingError: Error, Equatable {
    /// The version that the vault has, with other vaults, other attempts or another history.
    case alteredVersion
    case update(FleetUpdateError)
    /// Nothing was written.
    case ledger(LedgerError)
}

extension VaultAdministration {
    /// Tells the vault which fleet it belongs to. The first word is trusted: the operator compared the fingerprint. After
    /// it only what t vaults signed changes more than URLs, or one deceived operator would take shares for strangers.
    package func setFleet(_ fleet: Fleet, signatures: [FleetSignature] = []) throws(FleetSettingError) {
        let known: Fleet?
        do throws(LedgerError) { known = try configuration().fleet } catch { throw .ledger(error) }
        if let known { try Self.check(fleet, signatures, after: known) }
        do throws(LedgerError) { try replaceFleet(known, by: fleet) } catch { throw .ledger(error) }
    }

    private static func check(
        _ fleet: Fleet, _ signatures: [FleetSignature], after known: Fleet
    ) throws(FleetSettingError) {
        if fleet.id == known.id, fleet.version == known.version {
            guard fleet.isSameVersion(as: known) else { throw .alteredVersion }
            return
        }
        do throws(FleetUpdateError) { _ = try known.accept(fleet, signatures: signatures) } catch {
            throw .update(error)
        }
    }
}
