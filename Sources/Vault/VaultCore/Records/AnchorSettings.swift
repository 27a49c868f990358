package import ByteCoding

/// Where a vault's newest head is remembered outside its store. Sealed in the store like any other record: it is chosen
/// when the vault is made, and whoever puts an old store back puts this back with it, unchanged.
package enum AnchorSettings: ByteCodable, Equatable, Sendable {
    /// A file: its path, as seen from the vault's folder.
    case file(String)

    private static let pathBytes = 1...4096

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        switch try reader.uint8() {
        case 1: self = .file(try reader.text(Self.pathBytes))
        default: throw .invalidValue
        }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        switch self {
        case .file(let path):
            writer.uint8(1)
            try writer.text(path, Self.pathBytes)
        }
    }
}
