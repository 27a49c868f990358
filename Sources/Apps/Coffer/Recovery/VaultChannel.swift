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

    /// Asks until there is an answer or the vault's deadline passes; one hung vault must not hold up the others.
    package func ask(_ operation: Operation, of vault: Fleet.Vault) async -> Result<Reply, VaultProblem> {
        let deadline = deadline
        let answer = await withTaskGroup(of: Result<Reply, VaultProblem>?.self) { group in
            group.addTask { await self.askAgainIfUseful(operation, of: vault) }
            if let deadline {
                group.addTask {
                    await deadline(vault)
                    return nil
                }
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failure(.timedOut)
        }
        // Perhaps it began anew meanwhile, with another key.
        if answer == .failure(.timedOut) { announcements[vault.id] = nil }
        return answer
    }

    /// Asks once, and once more where that is free and may help: when the connection broke (an operation has its
    /// effect once, however often it arrives), and when the vault no longer has the key that was used. A vault that
    /// let the time pass would let it pass again.
    private func askAgainIfUseful(_ operation: Operation, of vault: Fleet.Vault) async -> Result<Reply, VaultProblem> {
        let first = await askOnce(operation, of: vault)
        guard !Task.isCancelled else { return first }
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
            let answer: [UInt8]
            do throws(VaultTransportError) {
                answer = try await transport.send(message, to: vault)
            } catch { throw VaultProblem(error) }
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
        let bytes: [UInt8]
        do throws(VaultTransportError) {
            bytes = try await transport.announcement(of: vault)
        } catch { throw VaultProblem(error) }
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

extension VaultProblem {
    fileprivate init(_ error: VaultTransportError) {
        switch error {
        case .unreachable(let reason): self = .unreachable(reason)
        case .timedOut: self = .timedOut
        case .refused(let status): self = .unreachable("it answered with HTTP status \(status)")
        }
    }
}
