import BackupSources
import Crypt15
import Primitives

/// The key that opens a backup, and what was wrong with it as it was typed.
public struct FoundKey: Sendable {
    /// What was mistyped; nothing of it is secret.
    public struct Typo: Sendable, Equatable, Codable {
        /// `digit`, `swapped-digits`, `swapped-groups`, `columns`, `missing-digit`, `doubled-digit`, `doubled-group`
        /// or `extra-group`.
        public let kind: String
        /// Counted from 1.
        public let groups: [Int]
        /// In the first of them; nil where it is about whole groups.
        public let position: Int?
        /// For people.
        public let words: String

        init(_ typo: KeyTypo) {
            groups = typo.groups
            (kind, position, words) =
                switch typo {
                case .digit(let group, let place):
                    ("digit", place, "Group \(group) has a wrong digit at position \(place).")
                case .swappedDigits(let group, 4):
                    (
                        "swapped-digits", 4,
                        "The last digit of group \(group) and the first of group \(group + 1) have changed places."
                    )
                case .swappedDigits(let group, let place):
                    (
                        "swapped-digits", place,
                        "In group \(group) the digits \(place) and \(place + 1) have changed places."
                    )
                case .swappedGroups(let first, let second):
                    ("swapped-groups", nil, "Groups \(first) and \(second) have changed places.")
                case .columns:
                    (
                        "columns", nil,
                        "The groups were read column by column: they are read row by row, from left to right."
                    )
                case .missingDigit(let group, let place):
                    ("missing-digit", place, "Group \(group) lacks its digit at position \(place).")
                case .doubledDigit(let group, let place):
                    ("doubled-digit", place, "Group \(group) has a digit too many, at position \(place).")
                case .doubledGroup(let group): ("doubled-group", nil, "Group \(group) stands there twice.")
                case .extraGroup(let group): ("extra-group", nil, "Group \(group) is one too many.")
                }
        }
    }

    public let key: WhatsAppKey
    /// nil if nothing is wrong.
    public let typo: Typo?
}

extension WhatsAppKey {
    /// Finds what is mistyped in the 64 digits, with a backup that the right ones open: one wrong digit, two that changed places,
    /// groups that did, columns read as rows, a digit missing or doubled.
    ///
    /// - Parameters:
    ///   - typed: wiped.
    ///   - backup: one's own file. The key that is found is proven by all of it.
    public static func find(wiping typed: inout [UInt8], for backup: String) throws(CofferError) -> FoundKey {
        let text = SecretBytes(wiping: &typed)
        let proof: KeyProof
        do { proof = try KeyProof(backup) } catch { throw CofferError(error, in: backup) }
        var search = KeySearch(proof: proof, backup: backup)
        guard let found = try search.run(text) else { throw search.failure }
        return found
    }
}

/// One search for the key of one backup.
private struct KeySearch {
    let proof: KeyProof
    let backup: String
    /// The key opens the beginning alone.
    private var damaged: FoundKey?

    init(proof: KeyProof, backup: String) {
        self.proof = proof
        self.backup = backup
    }

    mutating func run(_ text: SecretBytes) throws(CofferError) -> FoundKey? {
        var whole: (key: RootKey, form: RootKey.Form)?
        var digits: TypedDigits?
        do throws(RootKeyError) {
            // Of what is no key by its length alone a typing error may be the reason.
            do throws(RootKeyError) { whole = try RootKey.read(text) } catch {
                guard case .length = error else { throw error }
            }
            if whole.map({ $0.form == .digits }) ?? true { digits = try TypedDigits(text) }
        } catch {
            throw CofferError(notWhatsAppKey: error)
        }
        do throws(KeyProof.Failure) {
            // As it is it may open content of no known kind, too. A key file has no typing errors.
            if let key = whole?.key, try isRight(nil, key, isLikely: true) {
                return FoundKey(key: WhatsAppKey(key), typo: nil)
            }
            let found = try digits?.search { typo, key throws(KeyProof.Failure) in
                try isRight(typo, key, isLikely: false)
            }
            return found.map { FoundKey(key: WhatsAppKey($0.key), typo: $0.typo.map(FoundKey.Typo.init)) }
        } catch {
            throw CofferError(error, in: backup)
        }
    }

    private mutating func isRight(
        _ typo: KeyTypo?, _ key: RootKey, isLikely: Bool
    ) throws(KeyProof.Failure) -> Bool {
        if damaged != nil { return false }
        switch try proof.reach(of: key, isLikely: isLikely) {
        case .none: return false
        case .whole: return true
        case .beginning:
            damaged = FoundKey(key: WhatsAppKey(key), typo: typo.map(FoundKey.Typo.init))
            return false
        }
    }

    /// Why nothing was found.
    var failure: CofferError {
        if let damaged {
            let digits = damaged.typo.map { "\($0.words) So corrected, the digits open" } ?? "The digits open"
            return CofferError(
                .damagedOrWrongKey,
                "\(digits) the beginning of \(backup), but not all of it: the file is damaged. Nothing was written.",
                advice:
                    "Name another backup of yours, or copy this one from the phone again, and run the command again.")
        }
        let isMessages = backup.split(separator: "/").last?.hasPrefix("msgstore") == true
        let other =
            isMessages
            ? "" : " Not in every file a typing error can be found: try with msgstore.db.crypt15."
        return CofferError(
            .wrongKey, "Neither these digits nor any that differ from them by one usual typing error open \(backup).",
            advice:
                "Check that the file is from the same account and from after the key was made, and compare all groups."
                + other)
    }
}
