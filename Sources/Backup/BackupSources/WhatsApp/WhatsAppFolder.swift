import Foundation

/// Why a folder is not taken for WhatsApp's.
package enum WhatsAppFolderError: Error, Equatable, Sendable {
    /// It is not there, or no folder.
    case noFolder
    /// It is there; neither it nor any of the usual places below it has what WhatsApp's folder has.
    case notWhatsApp
    /// These places below it are WhatsApp's, and only one can be meant.
    case several([String])
}

/// WhatsApp's folder on a phone, or a copy of it.
package enum WhatsAppFolder {
    /// Below the folder that a person names: the phone's storage, an app's folder in it, or copies of these.
    package static let placesBelow = [
        "WhatsApp", "WhatsApp Business", "com.whatsapp/WhatsApp", "com.whatsapp.w4b/WhatsApp Business",
        "media/com.whatsapp/WhatsApp", "media/com.whatsapp.w4b/WhatsApp Business",
        "Android/media/com.whatsapp/WhatsApp", "Android/media/com.whatsapp.w4b/WhatsApp Business",
    ]

    /// The folder that has `Databases`, `Media` and `Backups`: the one that is named, or one below it.
    package static func find(_ path: String) throws(WhatsAppFolderError) -> String {
        guard isFolder(path) else { throw .noFolder }
        var base = path
        while base.count > 1, base.hasSuffix("/") { base.removeLast() }
        guard !isWhatsApp(base) else { return base }
        let found = placesBelow.map { base == "/" ? "/\($0)" : "\(base)/\($0)" }.filter { isWhatsApp($0) }
        guard let place = found.first else { throw .notWhatsApp }
        guard found.count == 1 else { throw .several(found) }
        return place
    }

    /// Whether anything is in it that only WhatsApp makes: a folder that is empty, as one is where a card is missing, is none.
    package static func isWhatsApp(_ path: String) -> Bool {
        holds("\(path)/Databases", "msgstore", "") || holds("\(path)/databases", "msgstore", "")
            || holds("\(path)/Backups", "", ".crypt15") || holds("\(path)/Backups", "", ".crypt14")
            || holds("\(path)/Media", "WhatsApp ", "") || holds("\(path)/Media", "", ".mcrypt1")
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    private static func holds(_ folder: String, _ prefix: String, _ suffix: String) -> Bool {
        guard let stream = opendir(folder) else { return false }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name.count > prefix.utf8.count + suffix.utf8.count, name.starts(with: prefix.utf8),
                name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
            {
                return true
            }
        }
        return false
    }
}
