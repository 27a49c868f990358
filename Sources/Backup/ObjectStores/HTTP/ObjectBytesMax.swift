package import BackupFormat

extension ObjectName {
    /// More than any object of this name holds: a server that sends more, and has proven nothing yet, does not fill the memory.
    package var bytesMax: Int {
        switch self {
        case .header, .keyring: 1 << 20
        case .pack: ObjectCipher.objectBytes(plaintextBytes: packBytesMax)
        case .index, .snapshot, .removal: 64 << 20
        }
    }
}
