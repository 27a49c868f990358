/// Why a drill could not be held. Nothing is known to be wrong with the backup.
package enum DrillError: Error, Equatable, Sendable {
    case store(ObjectStoreError)
    /// The scratch folder cannot be written.
    case scratch(TargetError)
    /// There is less room than the sample takes.
    case noRoom(neededBytes: UInt64, freeBytes: UInt64)
}

/// What a drill restored, and what it found.
package struct DrillReport: Equatable, Sendable {
    /// One thing that did not come back as it was.
    package enum Finding: Equatable, Sendable {
        /// A folder of the snapshot cannot be read: what is in it was not looked at.
        case folderDamaged(path: [UInt8], ReadError)
        case notRestored(path: [UInt8], RestoreReport.Reason)
        /// What came back is not what the snapshot says.
        case otherContent(path: [UInt8])
        case otherAttributes(path: [UInt8], String)
        /// It came back as it was saved, and SQLite finds it damaged.
        case unsoundDatabase(path: [UInt8], [String])
        /// The file on this device has not changed since the backup, and is another one.
        case notAsSource(path: [UInt8])
    }

    package var files = 0
    /// In the snapshot.
    package var filesTotal = 0
    package var bytes: UInt64 = 0
    /// Databases that SQLite opened and checked.
    package var databases = 0
    /// Files that were also compared with those on this device.
    package var comparedWithSource = 0
    /// Databases that were left out for their size.
    package var databasesLeftOut: [[UInt8]] = []
    /// Databases that came back, but that this SQLite cannot check, and its words.
    package var unchecked: [Unchecked] = []
    package var findings: [Finding] = []

    package struct Unchecked: Equatable, Sendable {
        package var path: [UInt8]
        package var reason: String
    }
}
