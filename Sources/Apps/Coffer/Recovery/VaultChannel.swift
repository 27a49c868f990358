import ByteCoding
package import RecoveryProtocol

/// Sealed questions to vaults, and their sealed answers.
package actor VaultChannel {
    private let fleetID: FleetID
    private let transport: any VaultTransport
    private let tokens: VaultTokens
    private let deadline: VaultDeadline?
    private let now: @Sendable () -> Timestamp
    private var announcements: [VaultID: KeyAnnouncement] = [:]

    package init(
        fleetID: FleetID, transport: any VaultTransport, tokens: @escaping VaultTokens,
        deadline: VaultDeadline?, now: @escaping @Sendable () -> Timestamp
    ) {
        self.fleetID = fleetID
        self.transport = transport
        self.tokens = tokens
        self.deadline = deadline
        self.now = now
    }

    /// Asks once, and once more where that is free and may help: when nothing came back (an operation has its effect
    /// once, however often it arrives), and when the vault no longer has the key that was used.
    package func ask(_ operation: Operation, of vault: Fleet.Vault) async -> Result<Reply, VaultProblem> {
        let first = await askOnce(operation, of: vault)
        switch first {
        case .failure(.unreachable), .failure(.clock):
            announcements[vault.id] = nil
            return await askOnce(operation, of: vault)
        case .failure(.misbehaves(.garbage)):
            // A reply garbled on the way looks like a vault's garbage: the second one decides.
            return await askOnce(operation, of: vault)
        default:
            return first
        }
    }

    private func askOnce(_ operation: Operation, of vault: Fleet.Vault) async -> Result<Reply, VaultProblem> {
        let (transport, deadline) = (transport, deadline)
        do throws(VaultProblem) {
            let token = try await token(for: vault)
            let announcement = try await announcement(of: vault)
            let exchange: ClientExchange
            let message: [UInt8]
            do {
                exchange = try ClientExchange(Request(token: token, operation: operation), to: announcement)
                message = try exchange.sealed.encoded()
            } catch ChannelError.tooLarge {
                throw VaultProblem.noToken
            } catch { throw VaultProblem.misbehaves(.badIdentity) }
            let answer = try await within(deadline, of: vault) { () async throws(VaultTransportError) in
                try await transport.send(message, to: vault)
            }
            // A reply that does not open was not sealed by the vault: somebody on the way made it.
            guard let sealed = try? SealedReply(decoding: answer) else {
                throw VaultProblem.unreachable("it answered, but not as a vault does")
            }
            do throws(ChannelError) {
                return .success(try exchange.open(sealed))
            } catch {
                throw error == .malformed
                    ? .misbehaves(.garbage) : .unreachable("its answer could not be opened")
            }
        } catch {
            return .failure(error)
        }
    }

    private func token(for vault: Fleet.Vault) async throws(VaultProblem) -> [UInt8] {
        do {
            let token = try await tokens(vault)
            guard Limits.tokenBytes.contains(token.count), !token.isEmpty else { throw VaultProblem.noToken }
            return token
        } catch { throw .noToken }
    }

    private func announcement(of vault: Fleet.Vault) async throws(VaultProblem) -> KeyAnnouncement {
        if let known = announcements[vault.id], now() <= known.notAfter { return known }
        let transport = transport
        let bytes = try await within(deadline, of: vault) { () async throws(VaultTransportError) in
            try await transport.announcement(of: vault)
        }
        guard let announcement = try? KeyAnnouncement(decoding: bytes) else { throw .misbehaves(.badIdentity) }
        do throws(KeyAnnouncement.Distrust) {
            try announcement.check(fleetID: fleetID, vault: vault, now: now())
        } catch {
            throw error == .notValidNow ? .clock : .misbehaves(.badIdentity)
        }
        announcements[vault.id] = announcement
        return announcement
    }
}

/// Runs work until it ends or the vault's deadline passes; one hung vault must not hold up the others.
private func within(
    _ deadline: VaultDeadline?, of vault: Fleet.Vault,
    _ work: @escaping @Sendable () async throws(VaultTransportError) -> [UInt8]
) async throws(VaultProblem) -> [UInt8] {
    let first = await withTaskGroup(of: Result<[UInt8], VaultTransportError>.self) { group in
        group.addTask {
            do throws(VaultTransportError) { return .success(try await work()) } catch { return .failure(error) }
        }
        if let deadline {
            group.addTask {
                await deadline(vault)
                return .failure(.unreachable("it did not answer in time"))
            }
        }
        let first = await group.next()
        group.cancelAll()
        return first
    }
    switch first {
    case .success(let bytes): return bytes
    case .failure(.unreachable(let reason)): throw .unreachable(reason)
    case .failure(.refused(let status)): throw .unreachable("it answered with HTTP status \(status)")
    case nil: throw .unreachable("it was not asked")
    }
}
