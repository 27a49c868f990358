package import Primitives

/// Which K manages which registration, while one K takes the place of another: registrations of the earlier one are ended by
/// its word.
package struct Managers: Sendable {
    /// Manages every registration that is made from now on.
    package let current: SecretBytes
    private let earlier: [SecretBytes]
    private let ofEarlier: [(id: RegistrationID, backupKey: SecretBytes)]

    /// - Parameters:
    ///   - earlier: what `current` takes the place of.
    ///   - shown: registrations and their management keys, as vaults show them. One that an earlier K gives proves that the
    ///     registration is that K's.
    package init(
        current: SecretBytes, earlier: [SecretBytes] = [], shown: [(id: RegistrationID, key: VerifyingKey)] = []
    ) {
        self.current = current
        self.earlier = earlier
        ofEarlier = shown.flatMap { id, key in
            earlier.filter { managementKey(backupKey: $0, registrationID: id).verifyingKey == key }.map { (id, $0) }
        }
    }

    /// The key that signs for a registration.
    package func key(_ id: RegistrationID) -> SigningKey {
        let backupKey = ofEarlier.first { $0.id == id }?.backupKey ?? current
        return managementKey(backupKey: backupKey, registrationID: id)
    }

    /// The keys that may sign for a registration that no vault shows any more.
    func possibleKeys(_ id: RegistrationID) -> [SigningKey] {
        ([current] + earlier).map { managementKey(backupKey: $0, registrationID: id) }
    }
}
