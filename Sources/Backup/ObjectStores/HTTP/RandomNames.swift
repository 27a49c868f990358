import BackupFormat

extension ObjectName {
    /// Whether nobody else can have chosen it.
    var isRandom: Bool {
        switch self {
        case .header, .keyring: false
        case .pack, .index, .snapshot, .removal: true
        }
    }
}
