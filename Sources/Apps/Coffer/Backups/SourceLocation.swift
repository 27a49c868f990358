import BackupEngine
import BackupSources
import Foundation

/// What is backed up, as a person writes it: a folder's path, or `whatsapp:` and the path of WhatsApp's folder.
enum SourceLocation: Equatable {
    private static let whatsAppPrefix = "whatsapp:"
    /// Stands for a backup that only `coffer whatsapp import` adds to.
    private static let importsText = "whatsapp-import:"

    case folder(String)
    case whatsApp(String)
    case imports

    init(_ text: String) {
        if text == Self.importsText {
            self = .imports
        } else if text.hasPrefix(Self.whatsAppPrefix) {
            self = .whatsApp(String(text.dropFirst(Self.whatsAppPrefix.count)))
        } else {
            self = .folder(text)
        }
    }

    var isWhatsApp: Bool { if case .whatsApp = self { true } else { false } }

    /// As it is kept in the settings and stands in snapshots.
    var text: String {
        switch self {
        case .folder(let path): path
        case .whatsApp(let path): Self.whatsAppPrefix + path
        case .imports: Self.importsText
        }
    }

    /// Where it is; nil if nothing on this device is backed up.
    var path: String? {
        switch self {
        case .folder(let path), .whatsApp(let path): path
        case .imports: nil
        }
    }

    /// The same with its path from the root, so that a later run from elsewhere means the same place, if it is there.
    func located(in workingFolder: String) throws(CofferError) -> SourceLocation {
        switch self {
        case .folder(let path):
            let absolute = try Self.absolute(path, in: workingFolder)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: absolute, isDirectory: &isFolder), isFolder.boolValue else {
                throw CofferError(.noSource, "\(absolute) is not there or is not a folder.", advice: "Check its name.")
            }
            return .folder(absolute)
        case .whatsApp(let path):
            let absolute = try Self.absolute(path, in: workingFolder)
            do { return .whatsApp(try WhatsAppFolder.find(absolute)) } catch {
                throw CofferError(error, path: absolute)
            }
        case .imports: return self
        }
    }

    private static func absolute(_ path: String, in workingFolder: String) throws(CofferError) -> String {
        guard !path.isEmpty else {
            throw CofferError(.noSource, "The folder to back up has no name.", advice: "Name it.")
        }
        return path.hasPrefix("/") ? path : "\(workingFolder)/\(path)"
    }

    /// What a person need not save of it, unless they say so.
    var leftOutAtFirst: LeftOut {
        guard case .whatsApp = self else { return .nothing }
        var leftOut = LeftOut()
        leftOut.olderDumps = true
        leftOut.patterns = [".Shared/", ".Thumbs/", ".StickerThumbs/", ".thumbnails/", ".trash/"]
        return leftOut
    }

    /// The source that a backup reads.
    ///
    /// - Parameter device: the device's own folder, which never goes into a backup.
    func open(without device: DeviceFolder) throws(CofferError) -> any BackupSource {
        do throws(SourceError) {
            switch self {
            case .folder(let path): return try FolderSource(path: path, apart: device.path)
            case .whatsApp(let path): return try WhatsAppSource(path: path, label: text, apart: device.path)
            case .imports: throw .noSource(text)
            }
        } catch {
            throw CofferError(error, of: self)
        }
    }
}

extension CofferError {
    fileprivate init(_ error: WhatsAppFolderError, path: String) {
        switch error {
        case .noFolder:
            self.init(.noSource, "\(path) is not there or is not a folder.", advice: "Check its name.")
        case .notWhatsApp:
            self.init(
                .noSource,
                "\(path) is not WhatsApp's folder. Looked for: Databases with msgstore…, Backups with ….crypt15, or Media with "
                    + "WhatsApp's folders; there, and below it in \(WhatsAppFolder.placesBelow.joined(separator: ", ")).",
                advice:
                    "Name the folder around Databases and Media, or the phone's storage; or back it up as a folder, "
                    + "without whatsapp:.")
        case .several(let places):
            self.init(
                .noSource, "There are several WhatsApp folders below \(path): \(places.joined(separator: ", ")).",
                advice: "Name one of them. Each needs a backup of its own (--state, and another store).")
        }
    }

    fileprivate init(_ error: SourceError, of location: SourceLocation) {
        switch location {
        case .imports:
            self.init(
                .noSource, "No folder on this device is backed up: only what is imported goes into this backup.",
                advice: "Run `coffer whatsapp import FILE.crypt15` with WhatsApp's newest backup.")
        case .whatsApp(let path):
            guard case .noSource = error else { fallthrough }
            self.init(
                .noSource,
                "\(path) is not there, or has nothing of WhatsApp's in it. Earlier backups are untouched.",
                advice: "Check that the phone or the card is connected.")
        case .folder: self.init(BackupError.source(error), place: "")
        }
    }
}
