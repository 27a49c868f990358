import RecoveryProtocol

// The one place where the recovery's errors become words.

extension CofferError {
    init(_ error: RecoveryError) {
        switch error {
        case .wrongPassword(let left, let problems):
            self.init(
                .wrongPassword,
                "Wrong password. \(Self.attempts(left)) left.\(Self.list(problems))",
                advice: left > 0
                    ? "Think before the next one: after the last wrong password the key is destroyed for good."
                    : "That was the last attempt. The 64-digit key, if you wrote it down, still opens the backup.")
        case .tooFewVaults(let needed, let answered, let problems, let charged):
            self.init(
                .tooFewVaults,
                "\(answered) of the \(needed) vaults that are needed answered.\(Self.list(problems))",
                advice:
                    "Your password was not judged. Try again when the vaults can be reached. \(Self.charges(charged))")
        case .tooEarly(let until):
            self.init(
                .tooEarly, "The vaults take the next password at \(until.words).",
                advice: "Few attempts are left, so there is a wait before each. Nothing was charged.")
        case .noAttemptsLeft(let erasedAt):
            self.init(
                .keyDestroyed,
                "Too many wrong passwords: the vaults answer no more, and erase the key on \(erasedAt.words).",
                advice: "No password brings this backup back. The 64-digit key, if you wrote it down, still opens it.")
        case .destroyed(let time):
            self.init(
                .keyDestroyed, "Too many wrong passwords: the vaults erased the key on \(time.words).",
                advice: "No password brings this backup back. The 64-digit key, if you wrote it down, still opens it.")
        case .notRegistered:
            self.init(
                .notRegistered, "The vaults have no key for this account.",
                advice:
                    "Check that you signed in with the account of the backup. The 64-digit key works without the vaults."
            )
        case .tokenExpired: self.init(SignInFault.expired)
        case .tokenRefused: self.init(SignInFault.refused)
        case .noToken: self.init(SignInFault.missing)
        case .clock: self.init(SignInFault.clock)
        case .passwordTooLong:
            self.init(.badPassword, "The password is longer than 1,024 bytes.", advice: "Use a shorter one.")
        case .unacceptableRecord:
            self.init(
                .vaultMisbehaves, "What the vaults say of the password hash is not acceptable. Nothing was charged.",
                advice: "The vaults may be lying: do not type the password again, and tell whoever runs them.")
        case .notEnoughMemory:
            self.init(
                .internalError, "There is too little memory for the password hash. Nothing was charged.",
                advice: "Close other programs and try again.")
        case .damagedEnvelope:
            self.init(
                .damagedSnapshot, "The password is right, but the key that it protects is damaged.",
                advice: "Use the 64-digit key.")
        }
    }

    init(_ error: EnrolmentError) {
        switch error {
        case .tooFewVaults(let needed, let answered, let problems):
            self.init(
                .tooFewVaults,
                "This needs \(needed) vaults; \(answered) took part.\(Self.list(problems))",
                advice: "Run the same command again when they can be reached; it goes on with the same key.")
        case .signIn(let fault): self.init(fault)
        case .anotherKeyRegistered(let vaults):
            self.init(
                .vaultRefused,
                "This account already has a backup key at \(vaults.count) vaults, and this device does not have it.",
                advice:
                    "Bring that backup back, or turn it off on the device that made it. If no device has that key any more, "
                    + "enable with --replace-lost-key.")
        case .passwordTooLong:
            self.init(.badPassword, "The password is longer than 1,024 bytes.", advice: "Use a shorter one.")
        case .argon2Parameters, .brokenMachine:
            self.init(
                .internalError, "This machine computes wrongly; nothing was registered.",
                advice: "Do not back up from it. Please report this.")
        case .notNoted:
            self.init(
                .internalError, "What this device has to remember could not be written; nothing new was registered.",
                advice: "Make room on its disk and run the same command again.")
        case .notEnoughMemory:
            self.init(
                .internalError, "There is too little memory for the password hash.",
                advice: "Close other programs and try again.")
        }
    }

    init(_ fault: SignInFault) {
        switch fault {
        case .expired:
            self.init(
                .tokenExpired, "Your sign-in has expired. No attempt was charged.",
                advice: "Sign in again, or get a new token file, and repeat the command.")
        case .refused:
            self.init(
                .tokenRefused, "The vaults do not accept your sign-in. No attempt was charged.",
                advice: "Sign in again, or get a new token file for this fleet.")
        case .missing:
            self.init(
                .tokenRefused, "Your sign-in has no tokens for the vaults of this fleet.",
                advice: "Get a token file that was made for this fleet.")
        case .clock:
            self.init(
                .tooFewVaults, "This device's clock differs too much from the vaults'. Nothing was charged.",
                advice: "Set the date and time of this device and try again.")
        }
    }

    private static func attempts(_ left: Int) -> String { left == 1 ? "1 attempt" : "\(left) attempts" }

    private static func charges(_ vaults: Int) -> String {
        switch vaults {
        case 0: "Nothing was charged."
        case 1: "1 vault may have charged this attempt."
        default: "\(vaults) vaults may have charged this attempt."
        }
    }

    private static func list(_ problems: [VaultReport]) -> String {
        problems.isEmpty ? "" : " " + problems.map { "\($0.words)." }.joined(separator: " ")
    }
}
