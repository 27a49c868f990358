import BackupSources
import Crypt15
import Primitives

/// The key that opens a backup, and what was wrong with it as it was typed.
public struct FoundKey: Sendable {
    /// What was mistyped; nothing of it is secret.
    public struct Typo: Sendable, Equatable, Codable {
        /// `digit`, `swapped-digits`, `swapped-groups`, `columns`, `missing-digit`, `doubled-digit` or `doubled-group`.
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
        if let found = try find(text, proof, backup) { return found }
        throw CofferError(
            .wrongKey, "Neither these digits nor any that differ from them by one usual typing error open \(backup).",
            advice:
                "Check that the file is from the same account and from after the key was made, and compare all groups.")
    }

    private static func find(
        _ text: SecretBytes, _ proof: KeyProof, _ backup: String
    ) throws(CofferError) -> FoundKey? {
        let whole = try? RootKey.read(text)
        let digits: TypedDigits?
        do {
            digits = whole.map { $0.form == .digits } ?? true ? try TypedDigits(text) : nil
        } catch {
            throw CofferError(notWhatsAppKey: error)
        }
        do throws(KeyProof.Failure) {
            guard let digits else {
                // A key file has no typing errors.
                guard let key = whole?.key, try proof.isOpened(by: key) else { return nil }
                return FoundKey(key: WhatsAppKey(key), typo: nil)
            }
            let found = try digits.search { key throws(KeyProof.Failure) in try proof.isOpened(by: key) }
            return found.map { FoundKey(key: WhatsAppKey($0.key), typo: $0.typo.map(FoundKey.Typo.init)) }
        } catch {
            throw CofferError(error, in: backup)
        }
    }
}
