import BackupFormat
import ByteCoding
import Primitives
import RecoveryProtocol

// How this device puts its key behind a password in a fleet, and takes it away again.

/// Shares that vaults still lack, kept beside the key and sealed under it.
enum UndeliveredFile {
    static let name = "undelivered"

    static func seal(_ shares: UndeliveredShares, under key: SixtyFourDigitKey) throws(ByteCodingError) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let nonce = generator.bytes(AES256GCM.nonceBytes)
        var plain = try shares.encoded()
        defer { plain.wipe() }
        return nonce + cipher(key).seal(plain, nonce: nonce)
    }

    static func open(_ file: [UInt8], under key: SixtyFourDigitKey) -> UndeliveredShares? {
        let nonce = Array(file.prefix(AES256GCM.nonceBytes))
        guard nonce.count == AES256GCM.nonceBytes,
            var plain = try? cipher(key).open(file.dropFirst(nonce.count), nonce: nonce)
        else { return nil }
        defer { plain.wipe() }
        return try? UndeliveredShares(decoding: plain)
    }

    private static func cipher(_ key: SixtyFourDigitKey) -> AES256GCM {
        let label = Array("coffer-v1 undelivered shares".utf8)
        return AES256GCM(key: hkdfSHA512(key.key.secret, salt: [], info: label, count: AES256GCM.keyBytes))
    }
}

/// Which registration must not be lost, as this device saw it last. No secret: vaults show as much.
enum StandingFile {
    static let name = "standing"
}

extension Device {
    /// Read and written around every change of registration.
    private var registrationNotes: RegistrationNotes {
        let folder = folder
        let file = try? folder.read(StandingFile.name)
        return RegistrationNotes(standing: file.flatMap { try? RegistrationName(decoding: $0) }) { note in
            switch note {
            case .begins: folder.delete(UndeliveredFile.name)
            case .stands(let name): try folder.write(StandingFile.name, try name.encoded())
            }
        }
    }

    /// Puts the key behind the password; keeps what vaults lack for later.
    func register(
        _ key: SixtyFourDigitKey, earlier: [SixtyFourDigitKey] = [], _ password: SecretBytes, _ access: FleetAccess,
        replacingLostKey: Bool = false
    ) async throws(CofferError) -> [String] {
        let enrolment: Enrolment
        do {
            enrolment = try await access.client.register(
                backupKey: key.key.secret, earlierKeys: earlier.map(\.key.secret), password: password,
                withoutOldKey: replacingLostKey, notes: registrationNotes)
        } catch {
            throw CofferError(error)
        }
        return try keep(enrolment, key)
    }

    /// The fleet that keeps this device's key, with the sign-in of the settings or a newer one; nil where there is none.
    /// - Throws: also where there is a fleet, and no sign-in: that must never pass for a backup without vaults.
    func fleetAccess(
        _ settings: DeviceSettings, signIn newer: SignIn? = nil
    ) throws(CofferError) -> FleetAccess? {
        guard let text = try folder.read(FleetAccess.fileName) else { return nil }
        guard let signIn = newer ?? settings.signIn else { throw CofferError(noSignIn: settings) }
        return try FleetAccess(fleetText: String(decoding: text, as: UTF8.self), signIn: signIn)
    }

    /// Hands vaults the shares that they lack, if there are any and the sign-in is at hand. A backup does not depend on it.
    func deliverMissingShares(_ settings: DeviceSettings) async {
        // What is kept may be for the fleet that is to come.
        guard settings.fleetChange == nil, settings.newKey == nil,
            let key = try? key(settings)
        else { return }
        _ = await deliver(key, earlier: earlierKeys(settings), settings)
    }

    /// - Returns: how the registration of this key stands; nil if nothing of it is kept, or the vaults cannot be asked.
    func deliver(
        _ key: SixtyFourDigitKey, earlier: [SixtyFourDigitKey], _ settings: DeviceSettings
    ) async -> Enrolment? {
        guard let file = try? folder.read(UndeliveredFile.name),
            let undelivered = UndeliveredFile.open(file, under: key), let access = try? fleetAccess(settings),
            let enrolment = try? await access.client.deliver(
                undelivered, backupKey: key.key.secret, earlierKeys: earlier.map(\.key.secret),
                notes: registrationNotes),
            (try? keep(enrolment, key)) != nil
        else { return nil }
        return enrolment
    }

    private func keep(_ enrolment: Enrolment, _ key: SixtyFourDigitKey) throws(CofferError) -> [String] {
        guard let undelivered = enrolment.undelivered else {
            folder.delete(UndeliveredFile.name)
            return []
        }
        guard let sealed = try? UndeliveredFile.seal(undelivered, under: key) else {
            throw CofferError(.internalError, "The shares could not be written.", advice: "Please report this.")
        }
        try folder.write(UndeliveredFile.name, sealed)
        if let until = enrolment.waitsUntil {
            return [
                "The vaults hold another key for this account. Yours takes its place on \(until.words), unless a device "
                    + "that has the other one is used before. Until then your password opens nothing; go on backing up "
                    + "from this device, which then finishes the change."
            ]
        }
        guard !enrolment.missing.isEmpty else {
            return ["Protected. What it replaces ends, at vaults that did not answer, with the next backups."]
        }
        return [
            "Protected, but not yet against the failure of as many vaults as the fleet allows: "
                + enrolment.missing.map(\.words).joined(separator: "; ")
                + ". Their shares are delivered with the next backups."
        ]
    }
}

extension Password {
    /// As it goes into the protocol: NFC, without code points that a later Unicode may compose otherwise.
    func normalised() throws(CofferError) -> SecretBytes {
        guard let text = utf8.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw CofferError(.badPassword, "The password is not valid UTF-8 text.", advice: "Type it again.")
        }
        do throws(PasswordText.Refusal) {
            return try PasswordText.bytes(text)
        } catch {
            switch error {
            case .empty:
                throw CofferError(.badPassword, "The password is empty.", advice: "Type at least one character.")
            case .tooLong:
                throw CofferError(
                    .badPassword, "The password is longer than 1,024 bytes.", advice: "Use a shorter one.")
            case .unassigned:
                throw CofferError(
                    .badPassword, "The password has a character that other devices may write differently.",
                    advice: "Use letters, digits, signs and spaces that all devices know.")
            }
        }
    }
}
