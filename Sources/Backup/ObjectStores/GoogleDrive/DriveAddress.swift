/// Where objects lie in Google Drive: `gdrive:FOLDER[?space=appdata]`, without anything secret.
package struct DriveAddress: Equatable, Sendable {
    package enum Space: String, Sendable {
        /// A folder in My Drive, which the person sees.
        case drive
        /// The folder that Drive keeps for one program and shows to nobody.
        case appdata
    }

    package enum Malformed: Error, Equatable, Sendable {
        case notAnAddress
        case noFolder
        case badFolder
        case unknownOption(String)
    }

    package static let scheme = "gdrive:"
    private static let folderBytesMax = 100

    /// The name of the folder.
    package let folder: String
    package let space: Space

    package init(_ text: String) throws(Malformed) {
        guard text.hasPrefix(Self.scheme) else { throw .notAnAddress }
        let halves = text.dropFirst(Self.scheme.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        folder = String(halves.first ?? "")
        guard !folder.isEmpty else { throw .noFolder }
        guard Self.isFolder(folder) else { throw .badFolder }
        do {
            space = try AddressOption.value(
                of: "space", in: halves.count > 1 ? halves[1] : "", usual: Space.drive)
        } catch {
            throw .unknownOption(error.name)
        }
    }

    /// One text for one place.
    package var text: String { "\(Self.scheme)\(folder)" + (space == .drive ? "" : "?space=\(space.rawValue)") }

    /// What a sign-in belongs to: another folder may be another person's.
    package var account: String { text }

    /// Behind the name of the folder beside a backup in which the store is tried out, as the same person.
    package static let testSuffix = ".coffer-store-test"

    /// Under what the sign-in may be kept, the most particular first.
    package var accounts: [String] {
        guard folder.hasSuffix(Self.testSuffix) else { return [account] }
        let name = folder.dropLast(Self.testSuffix.count)
        return [account, "\(Self.scheme)\(name)\(text.dropFirst(Self.scheme.count + folder.count))"]
    }

    /// What the person is asked to allow: files that this program has made, and no others.
    package var scope: String {
        switch space {
        case .drive: "https://www.googleapis.com/auth/drive.file"
        case .appdata: "https://www.googleapis.com/auth/drive.appdata"
        }
    }

    /// As Drive calls the space.
    var spaceName: String { space == .drive ? "drive" : "appDataFolder" }

    /// Only what looks the same wherever it is written, and needs no quotes but for the space.
    private static func isFolder(_ name: String) -> Bool {
        name.utf8.count <= folderBytesMax && name.first != " " && name.last != " " && name != "." && name != ".."
            && name.utf8.allSatisfy { PercentEncoding.isUnreserved($0) || $0 == UInt8(ascii: " ") }
    }
}
