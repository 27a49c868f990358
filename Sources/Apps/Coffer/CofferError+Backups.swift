import BackupEngine
import BackupFormat
import BackupSources
import ObjectStores

// The one place where the backup wing's errors become words.

extension CofferError {
    init(malformed error: BackupKeyError) {
        switch error {
        case .character(let group, let position):
            self.init(
                .malformedKey,
                "The 64-digit key has a wrong character in group \(group), position \(position).",
                advice: "The key consists of the digits 0 to 9 and the letters a to f. Look at that group again.")
        case .length(let digits):
            self.init(
                .malformedKey,
                "The 64-digit key has \(digits) digits instead of 64, or 72 with its two check groups.",
                advice: "Compare group by group with what you wrote down: a group is missing, doubled or not complete.")
        case .mistyped(let group, let positions):
            let places = positions.map(String.init).joined(separator: ", ")
            self.init(
                .malformedKey, "Group \(group) of the 64-digit key is probably mistyped. Nothing was tried with it.",
                advice: positions.count < 3
                    ? "Look at that group again, above all at position \(places)." : "Look at that group again.")
        case .swapped(let first):
            self.init(
                .malformedKey,
                "Groups \(first) and \(first + 1) of the 64-digit key have probably changed places. Nothing was tried with it.",
                advice: "Look at these two groups again.")
        case .leftOut(let group):
            self.init(
                .malformedKey, "The 64-digit key has 17 groups instead of 18: group \(group) is probably missing.",
                advice: "Compare with what you wrote down from that group on.")
        case .severalGroups:
            self.init(
                .malformedKey, "More than one group of the 64-digit key is mistyped. Nothing was tried with it.",
                advice: "Compare all groups with what you wrote down.")
        }
    }

    init(_ error: ObjectStoreError, place: String) {
        switch error {
        case .notFound(let name), .truncated(let name):
            self.init(
                .storeFailed, "\(name) in \(place) is missing or cut.",
                advice: "Run `coffer verify` to see what is affected. Nothing was changed.")
        case .exists(let name):
            self.init(
                .storeFailed, "\(name) in \(place) is already there; it was left as it is.",
                advice: "Another device may be writing to this store. Try again.")
        case .full:
            self.init(
                .storeFull, "There is no room left in \(place). What was backed up before is untouched.",
                advice: "Free some space and run the command again: it goes on with what has been uploaded.")
        case .dailyLimit(let detail):
            self.init(
                .storeFull, "\(place) takes no more today: \(detail). What was backed up before is untouched.",
                advice: "Run the command again tomorrow: it goes on with what has been uploaded.")
        case .denied(let name):
            self.init(
                .storeFailed, "\(place) does not allow access to \(name).",
                advice: (Self.account(of: place)?.deniedAdvice ?? Self.remote(of: place)?.deniedAdvice
                    ?? "Check the permissions of the folder.") + " Nothing was changed.")
        case .credentials(let detail):
            let account = Self.account(of: place)
            let variables = account?.environment.map { ", or renew \($0.name) and \($0.secret) in the environment" }
            self.init(
                .storeSignIn,
                "\(place) does not accept this device's \(account?.what ?? "sign-in") (\(detail)). Earlier backups are untouched.",
                advice: Self.remote(of: place)?.signInAdvice
                    ?? "Run \(account?.login ?? "coffer store login")\(variables ?? "").\(account?.credentialsAdvice ?? "")"
            )
        case .cancelled:
            self.init(
                .cancelled, "It was stopped. Nothing of earlier backups in \(place) was changed.",
                advice: "Do it again: it goes on with what is there.")
        case .failed(let detail):
            self.init(
                .storeFailed, "\(place) failed: \(detail).",
                advice: "Check that the place is there and try again. Earlier backups are untouched.")
        }
    }

    /// - Parameter place: as stores name themselves.
    private static func account(of place: String) -> StoreAccount? { (try? StoreLocation(place))?.account }

    /// Where rclone signs in, and not this device.
    private static func remote(of place: String) -> RcloneAddress? {
        if case .rclone(let address)? = try? StoreLocation(place) { address } else { nil }
    }

    init(keyReplacedIn place: String) {
        self.init(
            .keyReplaced,
            "The key of the backup in \(place) was replaced: the one that is used here opens it no more. Nothing was changed.",
            advice:
                "If you did that on another device, go on from this one with the new key: coffer disable --leave-shares, then "
                + "coffer enable FOLDER --to STORE --join. If you did not, type no password for this place: somebody altered it."
        )
    }

    static var fleetChangedElsewhere: CofferError {
        CofferError(
            .changePending, "The vaults of this backup were changed from another device. Nothing was changed.",
            advice: "Do it from that device; or go on from this one anew: coffer disable --leave-shares, then "
                + "coffer enable FOLDER --to STORE --join.")
    }

    init(_ error: KeyReplacementError, place: String) {
        switch error {
        case .underWay:
            self.init(
                .changePending, "Another device is replacing the key of the backup in \(place). Nothing was changed.",
                advice:
                    "Run `coffer key rotate` on that device again: it goes on. The old key opens the backup until then. If that "
                    + "device is lost: coffer key rotate --take-over."
            )
        case .overtaken: self.init(keyReplacedIn: place)
        case .otherFleet: self = .fleetChangedElsewhere
        case .tooMany:
            self.init(
                .internalError, "The key was replaced as often as the format counts. Nothing was changed.",
                advice: "Back up to a new store.")
        case .open(let error): self.init(error, place: place)
        }
    }

    init(_ error: StoreCopyError, from source: String, to target: String) {
        switch error {
        case .taken:
            self.init(
                .storeTaken, "There is something in \(target) already that is not this backup. It was left as it is.",
                advice: "Name another folder.")
        case .differs(let name):
            self.init(
                .storeFailed, "\(name) has another size in \(target) than in \(source). The backup stays where it is.",
                advice: "Delete \(target), which is no store yet, and move again.")
        case .source(let error): self.init(error, place: source)
        case .target(let error): self.init(error, place: target)
        }
    }

    init(_ error: OpenError, place: String) {
        switch error {
        case .noStoreHere:
            self.init(
                .noStore, "There is no Coffer backup in \(place).",
                advice: "Check the place. A backup's folder contains a file coffer.json."
                    + ((try? StoreLocation(place))?.isGoogleDrive == true
                        ? " Drive shows it only to the OAuth client that made it, or another one of its project, and if it was made minutes "
                            + "ago, perhaps not yet: then wait a little, and do not run coffer enable again." : ""))
        case .damagedHeader:
            self.init(
                .damagedHeader, "\(place)/coffer.json is damaged or was not written by Coffer. Nothing was changed.",
                advice: "Restore that file from another copy of the folder; the backups themselves may be whole.")
        case .newerFormat(let version):
            self.init(
                .newerFormat,
                "\(place) was written in format version \(version), which this version of Coffer cannot read.",
                advice: "Install a newer version of Coffer. Nothing was changed.")
        case .wrongKey:
            self.init(
                .wrongKey, "This key does not open the backup in \(place). Nothing was changed.",
                advice:
                    "Compare the 64 digits group by group with what you wrote down, and check that this is the place they belong to."
            )
        case .keyReplaced: self.init(keyReplacedIn: place)
        case .headerAltered:
            self.init(
                .headerAltered,
                "\(place)/coffer.json was changed by someone who does not have your key. The backups are still encrypted.",
                advice: "Do not type a password for this place. Restore coffer.json from another copy of the folder.")
        case .damagedKeyring:
            self.init(
                .damagedKeyring, "The key is right, but both copies of the keyring in \(place) are damaged.",
                advice: "Bring back the folder \(place)/keyring from another copy. Without it nothing can be read.")
        case .store(let error): self.init(error, place: place)
        }
    }

    init(_ error: BackupError, place: String) {
        switch error {
        case .source(.noSource(let path)):
            self.init(
                .noSource, "\(path) is not there or is not a folder. Earlier backups are untouched.",
                advice: "Check the folder that you back up.")
        case .source(let error):
            self.init(
                .noSource, "The folder that you back up cannot be read: \(error.words). Earlier backups are untouched.",
                advice: "Check its permissions and try again.")
        case .store(let error): self.init(error, place: place)
        case .removedMeanwhile:
            self.init(
                .storeFailed, "Another device removed old backups from \(place) at the same time.",
                advice: "Back up again: what was uploaded is not uploaded twice. Earlier backups are untouched.")
        case .noRoom(let needed, let free):
            self.init(
                .storeFull,
                "What cannot be made smaller in the folder, photos and the like, needs at least \(needed.inMegabytesAtLeast) more, and "
                    + "\(place) has room for \(free.inMegabytes). Nothing was uploaded; earlier backups are untouched.",
                advice:
                    "Make room there, remove old backups (coffer prune), leave something out (coffer exclude videos), or go on in "
                    + "another place (coffer move). To back up as far as it goes: --ignore-room.")
        case .unrepresentable:
            self.init(
                .internalError, "A name or an attribute in the folder is too long for the backup format.",
                advice: "Earlier backups are untouched. Please report this with the version of Coffer.")
        }
    }

    init(_ error: PruneError, place: String) {
        switch error {
        case .damagedSnapshot(let name):
            self.init(
                .damagedSnapshot,
                "\(name) in \(place) cannot be read, so what it needs is not known. Nothing was removed.",
                advice:
                    "Try again: one answer of the store may have been wrong. If it is beyond repair, delete this file, and prune again "
                    + "with --accept-missing.")
        case .missingSnapshots(let missing):
            self.init(
                .missingSnapshots,
                "\(place) does not show \(MissingSnapshot.words(missing)), and nobody removed "
                    + "\(missing.count == 1 ? "it" : "them"). Pruning stopped, and nothing that other backups may need was removed.",
                advice:
                    "The store may be behind: wait a while, let whatever keeps it in step finish, and prune again; `coffer snapshots` "
                    + "shows what is there. If \(missing.count == 1 ? "that backup is" : "those backups are") lost for good, "
                    + "--accept-missing prunes without.")
        case .damagedBackup(let error):
            let what = CofferError(error, place: place)
            self.init(
                what.code, "A backup that is to stay cannot be read: \(what.message) Its files were left alone.",
                advice: "Run `coffer verify --deep`, and keep fewer backups if it is an old one that is damaged.")
        case .tooMuch:
            self.init(
                .internalError, "There is more to remove than the format can name. Nothing was removed.",
                advice: "Please report this with the version of Coffer.")
        case .store(let error): self.init(error, place: place)
        case .backup(let error): self.init(error, place: place)
        }
    }

    init(_ error: ReadError, place: String) {
        switch error {
        case .store(let error): self.init(error, place: place)
        case .damaged(let name):
            self.init(
                .damagedSnapshot, "\(name) in \(place) is damaged.",
                advice: "Run `coffer verify` to see what is affected; older snapshots may be whole.")
        case .missingChunk:
            self.init(
                .damagedSnapshot, "A part of the snapshot is missing in \(place).",
                advice: "Run `coffer verify` to see what is affected; older snapshots may be whole.")
        }
    }

    init(_ error: RestoreError, place: String) {
        switch error {
        case .store(let error): self.init(error, place: place)
        case .noSuchPath(let path):
            self.init(
                .noSuchPath,
                "There is no \(String(decoding: path, as: UTF8.self)) in the snapshot. Nothing was restored.",
                advice: "`coffer ls` shows what is there, from the top.")
        case .target(.full, _):
            self.init(
                .targetFailed, "There is no room left where you restore to. What was restored so far is whole.",
                advice: "Free some space and run the same command again: it goes on.")
        case .target(let error, let path):
            self.init(
                .targetFailed, "\(String(decoding: path, as: UTF8.self)) could not be written: \(error.words).",
                advice: "Check the folder's permissions. The backup is untouched.")
        }
    }

    init(noRoomIn folder: String, needed: UInt64, free: UInt64) {
        self.init(
            .targetFailed,
            "What is to be restored needs \(needed.inMegabytesAtLeast) more in \(folder), and there is room for \(free.inMegabytes). Nothing was "
                + "restored.",
            advice:
                "Make room, name another folder, or restore a part: --only messages. If files take less room there than they have "
                + "bytes: --ignore-room.")
    }

    init(_ error: FolderTargetError, path: String) {
        switch error {
        case .notEmpty:
            self.init(
                .targetNotEmpty, "\(path) is not empty. Nothing was restored and nothing was changed.",
                advice: "Name another folder, or say --into-existing: what is there is then kept, and the rest added.")
        case .cannotMake(let detail):
            self.init(
                .targetFailed, "\(path) cannot be made: \(detail).", advice: "Name another folder.")
        }
    }
}

extension UInt64 {
    fileprivate var inMegabytes: String { self < 10_000_000 ? "\(self) bytes" : "\(self / 1_000_000) MB" }

    /// Rounded up, so that what is needed and what is free differ in what is said, too.
    fileprivate var inMegabytesAtLeast: String {
        self < 10_000_000 ? "\(self) bytes" : "\((self - 1) / 1_000_000 + 1) MB"
    }
}

extension SourceError {
    fileprivate var words: String {
        switch self {
        case .noSource: "it is not there"
        case .unreadable(let detail): detail
        case .vanished: "it vanished"
        case .changed: "it kept changing"
        }
    }
}

extension TargetError {
    var words: String {
        switch self {
        case .exists: "something else has that name"
        case .full: "there is no room left"
        case .attributes(let detail): "its attributes were not taken (\(detail))"
        case .failed(let detail): detail
        }
    }
}
