import ByteCoding
import Primitives
import RecoveryProtocol

extension FleetClient {
    /// How often a device that meets another one at a vault asks there again.
    static let roundsMax = 8

    /// Sends a signed operation to several vaults, each with its own serial: a serial is only ever told to the vault
    /// that gave it. Where the account moved on meanwhile, signs again with the serial that the vault names.
    func signedOperation(
        at vaults: [(vault: Fleet.Vault, serial: UInt64)], _ make: (SigningContext) -> Operation?
    ) async -> Answers {
        func questions(_ vaults: [(vault: Fleet.Vault, serial: UInt64)]) -> [(vault: Fleet.Vault, operation: Operation)]
        {
            vaults.compactMap { vault, serial in
                let context = SigningContext(fleetID: fleet.id, vaultID: vault.id, name: name, serial: serial)
                return make(context).map { (vault, $0) }
            }
        }
        var answers = await ask(questions(vaults))
        for round in 1..<Self.roundsMax {
            let stale = answers.compactMap { vault, answer -> (vault: Fleet.Vault, serial: UInt64)? in
                guard case .success(.refused(.staleSerial(let current))) = answer else { return nil }
                return (vault, current)
            }
            guard !stale.isEmpty else { break }
            await pause(round)
            for (vault, answer) in await ask(questions(stale)) {
                guard let position = answers.firstIndex(where: { $0.vault == vault }) else { continue }
                answers[position].answer = answer
            }
        }
        return answers
    }
}
