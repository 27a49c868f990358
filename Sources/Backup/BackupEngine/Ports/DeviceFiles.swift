/// A file on this device that is written and read at any place.
package protocol DeviceFile: AnyObject, Sendable {
    /// Fills the buffer; false if the file does not have so much there.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool
    /// False if there is no room, or anything else is in the way.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool
}

/// Files that have no name and go with their last user, also when the process is killed.
package protocol UnnamedFiles: Sendable {
    /// An empty file; nil if none can be made.
    func make() -> (any DeviceFile)?
}
