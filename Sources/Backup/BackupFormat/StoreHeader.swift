package import ByteCoding
import Primitives

/// The content of `coffer.json`, the one object in clear (section 10).
package struct StoreHeader: Equatable, Sendable {
    package var store: StoreID
    /// The text of the fleet file, or nil where no vaults hold the key.
    package var fleet: String?

    package init(store: StoreID, fleet: String?) {
        self.store = store
        self.fleet = fleet
    }

    /// The tag that authenticates the header to whoever holds K.
    package func tag(under key: BackupKey) throws(ByteCodingError) -> [UInt8] {
        var writer = ByteWriter()
        writer.uint8(formatVersion)
        try store.encode(into: &writer)
        try writer.optional(fleet) { fleet, writer throws(ByteCodingError) in
            try writer.text(fleet, 0...0xff_ffff)
        }
        return hmacSHA256(writer.bytes, key: store.deriveKey(from: key.secret, info: Label.header))
    }

    /// Whether the tag is right, in time that does not depend on it.
    package func isAuthentic(tag: [UInt8], under key: BackupKey) -> Bool {
        guard let expected = try? self.tag(under: key) else { return false }
        return constantTimeEquals(expected, tag)
    }
}
