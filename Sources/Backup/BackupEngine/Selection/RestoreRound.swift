import BackupFormat

/// In which order files come back: what a person misses most comes first.
///
/// A restore walks the folders once for each round, so that its memory does not grow with the number of files; and there are few,
/// since neighbours in a folder are neighbours in a pack, and what is read for one round is read again for another.
enum RestoreRound: CaseIterable {
    case messages
    /// Media of the month before the backup.
    case recent
    case rest

    private static let recentSeconds: Int64 = 30 * 24 * 3600

    /// - Parameter beganSeconds: when the snapshot was begun.
    init(of entry: Entry, at path: [UInt8], beganSeconds: UInt64) {
        guard case .file(let content) = entry.kind else {
            self = .rest
            return
        }
        let age = Int64(clamping: beganSeconds).subtractingReportingOverflow(entry.metadata.modifiedSeconds)
        if Category(of: path, form: content.form) == .messages {
            self = .messages
        } else {
            self = !age.overflow && age.partialValue <= Self.recentSeconds ? .recent : .rest
        }
    }
}
