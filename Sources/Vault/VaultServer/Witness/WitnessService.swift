import ByteCoding
package import Primitives
import RecoveryProtocol
import Synchronization
package import VaultCore

/// Why a witness gave no answer.
package enum WitnessRefusal: Error, Equatable {
    case malformed
    /// It does not watch this vault.
    case unknownVault
    /// It could not keep the head, and so does not say that it does.
    case unavailable
}

/// One witness: answers which head of a vault it remembers, and remembers newer ones.
package final class WitnessService: Sendable {
    private let key: SigningKey
    private let memory: any WitnessMemory
    let metrics = VaultMetrics()
    private let vaults: Mutex<[VaultID: WatchedVault]>

    package init(key: SigningKey, memory: any WitnessMemory) throws(AnchorError) {
        self.key = key
        self.memory = memory
        var vaults: [VaultID: WatchedVault] = [:]
        for vault in try memory.vaults() { vaults[vault.vaultID] = vault }
        self.vaults = Mutex(vaults)
    }

    package var verifyingKey: VerifyingKey { key.verifyingKey }
    package var vaultCount: Int { vaults.withLock { $0.count } }

    /// Begins to watch a vault; one that is watched already stays as it is.
    package func watch(_ identityKey: VerifyingKey) throws(AnchorError) {
        let vault = WatchedVault(identityKey: identityKey)
        try vaults.withLock { vaults throws(AnchorError) in
            guard vaults[vault.vaultID] == nil else { return }
            try memory.keep(vault)
            vaults[vault.vaultID] = vault
        }
    }

    /// Answers the body of a `POST /v1/witness`. A newer head is on the medium before the answer says so.
    package func answer(_ bytes: [UInt8]) throws(WitnessRefusal) -> [UInt8] {
        do throws(WitnessRefusal) {
            let answer = try uncounted(bytes)
            metrics.count(Metrics.witnessQuestions, ["answered"])
            return answer
        } catch {
            metrics.count(Metrics.witnessQuestions, [error.metricWord])
            throw error
        }
    }

    private func uncounted(_ bytes: [UInt8]) throws(WitnessRefusal) -> [UInt8] {
        let request: WitnessRequest
        do { request = try WitnessRequest(decoding: bytes) } catch { throw .malformed }
        let held = try vaults.withLock { vaults throws(WitnessRefusal) -> SignedHead? in
            guard var vault = vaults[request.vaultID] else { throw .unknownVault }
            if let head = request.head, vault.take(head) {
                do { try memory.keep(vault) } catch { throw .unavailable }
                vaults[request.vaultID] = vault
                metrics.count(Metrics.witnessHeads)
            }
            return vault.held
        }
        do { return try WitnessAnswer(to: request, held: held, signedBy: key).encoded() } catch { throw .malformed }
    }
}
