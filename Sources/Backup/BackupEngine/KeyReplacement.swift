package import BackupFormat
import ByteCoding
import Primitives

/// Why a store's key was not replaced. The store opens with the old key or the new one in each case.
package enum KeyReplacementError: Error, Equatable, Sendable {
    /// Another device is replacing the key.
    case underWay
    /// Another device has replaced the key: neither of these two opens the store any more.
    case overtaken
    /// The store names another fleet than this device knows: what it would tell that one's vaults is of no use.
    case otherFleet
    /// There were as many keys as the format counts.
    case tooMany
    case open(OpenError)
}

/// Puts another key in the place of a store's, so that at every moment the old one or the new one opens it (section 10).
///
/// First the new key is *admitted*: its keyring is written beside the old one, then the header gets a tag under each. Both open the
/// store as long as anybody needs the old one. Then the old key is *dismissed*: the header keeps the new tag alone, and the old
/// keyrings go. Each step looks at the store first, so that all may be called again after a cut, in the same order.
package struct KeyReplacement: Sendable {
    private let store: any ObjectStore
    private let old: BackupKey
    private let new: BackupKey
    private let fleet: String?

    /// - Parameter fleet: the text of the fleet file that this device goes by. Each step looks whether the store still does.
    package init(of old: BackupKey, by new: BackupKey, in store: any ObjectStore, fleet: String?) {
        self.store = store
        self.fleet = fleet
        self.old = old
        self.new = new
    }

    /// Lets the new key open the store, too.
    package func admit(
        now: UInt64, using generator: inout some RandomNumberGenerator
    ) async throws(KeyReplacementError) {
        let (header, tags) = try await header()
        guard isAuthentic(header, tags, under: old) else {
            guard isAuthentic(header, tags, under: new) else { throw .overtaken }
            return
        }
        let isAdmitted = isAuthentic(header, tags, under: new)
        // Two devices must not admit two keys: one of them would be the only one that its person has.
        guard tags.count == 1 || isAdmitted else { throw .underWay }
        try await writeKeyring(header, now: now, using: &generator)
        guard !isAdmitted else { return }
        let present = try await self.header()
        guard present.header == header, present.tags == tags else { throw .underWay }
        do { try await Repository.replaceHeader(in: store, header, keys: [old, new]) } catch { throw .open(error) }
        try await requireAdmitted()
    }

    /// Looks whether the store still takes the new key: a device that admitted another one at the same moment may have
    /// come second, and won. To be called before anybody else is told of the new key.
    @discardableResult
    package func requireAdmitted() async throws(KeyReplacementError) -> (header: StoreHeader, tags: [[UInt8]]) {
        let (header, tags) = try await header()
        guard isAuthentic(header, tags, under: new) else {
            throw isAuthentic(header, tags, under: old) ? .underWay : .overtaken
        }
        return (header, tags)
    }

    /// Ends the old key. What is under it stays readable with the new one.
    package func dismiss() async throws(KeyReplacementError) {
        let (header, tags) = try await requireAdmitted()
        guard let keyring = try await keyring(header, new) else { throw .open(.damagedKeyring) }
        if tags.count > 1 {
            do { try await Repository.replaceHeader(in: store, header, keys: [new]) } catch { throw .open(error) }
        }
        do throws(ObjectStoreError) {
            for name in try await store.list(.keyring) {
                guard case .keyring(let number, _) = name else { continue }
                // A repair may have written the old key's keyring anew, under a higher number.
                let isOld = number < keyring.number ? true : try await isOld(name, number, header)
                if isOld { try await store.delete(name) }
            }
        } catch { throw .open(.store(error)) }
    }

    private func isOld(
        _ name: ObjectName, _ number: UInt32, _ header: StoreHeader
    ) async throws(ObjectStoreError) -> Bool {
        guard !old.secret.isEqual(to: new.secret) else { return false }
        let object: [UInt8]
        do { object = try await store.read(name) } catch  where error.isLoss { return false }
        return (try? Keyring.open(object, number: number, under: old, store: header.store)) != nil
    }

    /// Ends what another device began and nobody goes on with: the store takes this key alone, and the other one opens it no
    /// more. Nobody may have the other one alone. Its keyrings go with the next replacement.
    package static func takeOver(
        with key: BackupKey, in store: any ObjectStore, fleet: String?
    ) async throws(KeyReplacementError) {
        let own = KeyReplacement(of: key, by: key, in: store, fleet: fleet)
        let (header, tags) = try await own.requireAdmitted()
        guard tags.count > 1 else { return }
        guard try await own.keyring(header, key) != nil else { throw .open(.damagedKeyring) }
        do { try await Repository.replaceHeader(in: store, header, keys: [key]) } catch { throw .open(error) }
    }

    // MARK: Steps

    /// Both copies of the new key's keyring. A run that was cut may have left one of them, or none.
    private func writeKeyring(
        _ header: StoreHeader, now: UInt64, using generator: inout some RandomNumberGenerator
    ) async throws(KeyReplacementError) {
        let keyring: Keyring
        if let left = try await self.keyring(header, new) {
            keyring = left
        } else {
            guard let present = try await self.keyring(header, old) else { throw .open(.damagedKeyring) }
            do {
                let number = try await highestNumber() + 1
                guard number <= Keyring.numberMax else { throw KeyReplacementError.tooMany }
                keyring = try Keyring(after: present, number: number, createdSeconds: now, using: &generator)
            } catch let error as KeyReplacementError {
                throw error
            } catch { throw .tooMany }
        }
        do {
            for copy in ObjectName.KeyringCopy.allCases {
                let name = ObjectName.keyring(number: keyring.number, copy: copy)
                if try await Repository.isThere(name, in: store) { continue }
                try await store.create(name, try keyring.sealed(under: new, store: header.store, using: &generator))
            }
        } catch ObjectStoreError.exists {
            throw .underWay
        } catch let error as ObjectStoreError {
            throw .open(.store(error))
        } catch { throw .tooMany }
    }

    private func highestNumber() async throws(KeyReplacementError) -> UInt32 {
        do throws(ObjectStoreError) {
            return try await store.list(.keyring).reduce(0) { highest, name in
                if case .keyring(let number, _) = name { max(highest, number) } else { highest }
            }
        } catch { throw .open(.store(error)) }
    }

    private func keyring(_ header: StoreHeader, _ key: BackupKey) async throws(KeyReplacementError) -> Keyring? {
        do {
            return try await Repository.openKeyring(in: store, header: header, key: key).keyring
        } catch { throw .open(error) }
    }

    private func header() async throws(KeyReplacementError) -> (header: StoreHeader, tags: [[UInt8]]) {
        let (header, tags): (StoreHeader, [[UInt8]])
        do { (header, tags) = try HeaderFile.parse(try await Repository.readHeader(store)) } catch {
            throw .open(error)
        }
        let isGenuine = isAuthentic(header, tags, under: old) || isAuthentic(header, tags, under: new)
        guard header.fleet == fleet || !isGenuine else { throw .otherFleet }
        return (header, tags)
    }

    private func isAuthentic(_ header: StoreHeader, _ tags: [[UInt8]], under key: BackupKey) -> Bool {
        tags.contains { header.isAuthentic(tag: $0, under: key) }
    }
}
