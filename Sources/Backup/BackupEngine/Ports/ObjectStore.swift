package import BackupFormat

/// Where encrypted objects lie. One contract for every store; `Tests/Backup` runs one suite against each.
///
/// - An object is there whole under its name or not at all, whatever fails in between.
/// - `create` never replaces: two writers of one name cannot both succeed.
/// - What `create` and `replace` have acknowledged survives a crash of this machine.
package protocol ObjectStore: Sendable {
    /// Where it is, for people.
    var place: String { get }

    /// Writes a new object; throws `.exists` if the name is taken.
    func create(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError)
    /// Writes an object over the old one, atomically. Only the header is ever replaced.
    func replace(_ name: ObjectName, _ bytes: [UInt8]) async throws(ObjectStoreError)
    /// The whole object.
    func read(_ name: ObjectName) async throws(ObjectStoreError) -> [UInt8]
    /// The bytes of the object in a range that lies inside it; throws `.truncated` if it does not.
    func read(_ name: ObjectName, _ range: Range<Int>) async throws(ObjectStoreError) -> [UInt8]
    /// The object's size in bytes.
    func size(of name: ObjectName) async throws(ObjectStoreError) -> Int
    /// The objects in a folder, in no particular order. Other files are left out.
    func list(_ folder: ObjectName.Folder) async throws(ObjectStoreError) -> [ObjectName]
    /// Removes an object; an object that is not there is no error.
    func delete(_ name: ObjectName) async throws(ObjectStoreError)
}

/// What went wrong in a store, and so what is safe to do next. Details are the system's own words, without contents.
package enum ObjectStoreError: Error, Equatable, Sendable {
    /// There is no such object.
    case notFound(String)
    /// The name is taken; nothing was changed.
    case exists(String)
    /// No room: nothing was written under the name. Free some space and try again.
    case full
    /// The object ends before the range does: it was cut.
    case truncated(String)
    /// The store refuses: permissions, or it is read-only.
    case denied(String)
    /// Anything else; the object may or may not have been written.
    case failed(String)
}
