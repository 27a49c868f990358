/// Where a device keeps a copy of each database as it was last backed up: encrypted frames in slots of a file, and a list of
/// which slots count.
///
/// It is only a cache: what it gives back is proven, and whatever is missing, stale or damaged makes the next backup larger and
/// nothing else. Names are made of letters and digits.
package protocol PreviousCopies: Sendable {
    /// The list that was published last; nil if there is none.
    func list(_ name: String) -> [UInt8]?
    /// The slots' file, which is made if it is not there; nil if it cannot be used.
    func slots(_ name: String) -> (any DeviceFile)?
    /// Puts a list aside for `publish`; the one that counts stays as it is.
    func stage(_ name: String, list: [UInt8]) -> Bool
    /// Replaces a list, at once, by the one that was staged.
    func publish(_ name: String)
    /// How much room there is; nil if that cannot be told.
    var freeBytes: UInt64? { get }
    /// Removes what lies there under other names.
    func keepOnly(_ names: Set<String>)
}
