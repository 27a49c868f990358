/// Where this device keeps what it knows of the files that it backed up. Only a cache: whatever is missing, cut or
/// altered makes a backup slower and nothing else.
package protocol KnownFilesStorage: Sendable {
    /// What was kept last, and before it what a backup left that was cut since.
    func readers() -> [any KnownFilesReader]
    /// What is to be kept from now on, of which each part stays even if the program is killed; nil if nothing can be written.
    func writer() -> (any KnownFilesWriter)?
}

package protocol KnownFilesReader: AnyObject {
    /// The next part as it was appended, or nil at the end.
    func next() -> [UInt8]?
}

package protocol KnownFilesWriter: AnyObject {
    func append(_ part: [UInt8])
    /// Puts it in the place of what was kept before, unless anything failed.
    func finish()
}
