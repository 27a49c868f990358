package import BackupFormat

/// Where a snapshot is restored to: a folder that is walked down and up, in a few rounds.
///
/// Nothing stands under its final name before it is complete. What is there already is never replaced. Attributes that
/// the file system does not take (an owner, a security label) are reported by `.attributes` after everything else is done:
/// they must not cost a file.
package protocol RestoreTarget: AnyObject {
    /// Goes into a folder, which is made if it is not there.
    func enterDirectory(_ name: [UInt8]) throws(TargetError)
    /// Leaves the folder and gives it its attributes; without them if it is entered again later.
    func leaveDirectory(_ metadata: Metadata?) throws(TargetError)
    /// The file that has the name already, perhaps from a restore that was cut; nil if there is none.
    func existingFile(_ name: [UInt8]) -> (any SourceFile)?
    /// The file that has the name already is the one that was to be restored; the key names it for `link`.
    func keepFile(_ name: [UInt8], linkGroup: UInt64)
    /// The target of the symbolic link that has the name already; nil if there is none.
    func existingLink(_ name: [UInt8]) -> [UInt8]?
    /// Begins a file under a temporary name.
    func beginFile(_ name: [UInt8]) throws(TargetError)
    /// Appends to the file that was begun; the bytes are lent for as long as the call lasts.
    func write(_ bytes: UnsafeRawBufferPointer) throws(TargetError)
    /// Appends zeros to the file that was begun, as a hole.
    func skip(_ count: Int) throws(TargetError)
    /// Writes at a place in the file that was begun; what was never written is zeros.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(TargetError)
    /// Reads what was written at a place in the file that was begun.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(TargetError)
    /// Makes the file that was begun so long, whatever was written; what is appended follows from there.
    func resize(_ count: UInt64) throws(TargetError)
    /// Completes the file and gives it its name and attributes; the key names it for `link`.
    func finishFile(_ metadata: Metadata, linkGroup: UInt64) throws(TargetError)
    /// Gives up the file that was begun and leaves nothing of it.
    func abandonFile()
    /// Makes another name for a finished file; false if no file of that group was finished.
    func link(_ name: [UInt8], linkGroup: UInt64) throws(TargetError) -> Bool
    func symbolicLink(_ name: [UInt8], target: [UInt8], metadata: Metadata) throws(TargetError)
}

/// Why something could not be restored to its place.
package enum TargetError: Error, Equatable, Sendable {
    /// Something else has the name; it was left as it is.
    case exists
    /// It is there with all its content, but the file system did not take some of its attributes.
    case attributes(String)
    /// No room.
    case full
    /// Anything else, in the system's words.
    case failed(String)
}
