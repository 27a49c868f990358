/// Where a drill restores to on this device, and what it finds there. What lies there is plaintext, so whoever made it
/// removes it, whatever happens.
package protocol DrillScratch: AnyObject {
    /// How many bytes are free there; nil if that cannot be told.
    var freeBytes: UInt64? { get }
    /// Whether files get the owners that they had.
    var keepsOwners: Bool { get }
    /// An empty folder to restore to.
    func target() throws(TargetError) -> any RestoreTarget
    /// What was restored at a path, with its attributes; nil if there is nothing.
    func node(at path: [UInt8]) -> SourceNode?
    /// A restored file as it lies on the disk.
    func open(_ path: [UInt8]) throws(SourceError) -> any SourceFile
    /// Opens a restored database read-only and lets SQLite check all of it.
    func check(databaseAt path: [UInt8]) -> DatabaseSoundness
}

/// What SQLite says of a database.
package enum DatabaseSoundness: Equatable, Sendable {
    case sound
    /// SQLite's own words.
    case unsound([String])
    /// This SQLite cannot say, for example for want of a module that the app has.
    case unchecked(String)
}
