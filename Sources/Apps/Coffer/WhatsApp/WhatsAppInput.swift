import BackupSources
import Foundation

/// One of the files that a person named, or that lie in a folder that they named.
struct WhatsAppInput: Equatable {
    let path: String
    /// Below the folder that was named; the file's own name if it was named itself.
    let relativePath: String

    private static let endings = [".crypt15", ".crypt14", ".crypt12"]
    private static let mediaEnding = ".mcrypt1"

    /// What was named, folders with all that is WhatsApp's backup in them, in the order of names.
    static func expand(_ paths: [String]) throws(CofferError) -> (inputs: [WhatsAppInput], mediaFiles: Int) {
        var inputs: [WhatsAppInput] = []
        var mediaFiles = 0
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw CofferError(
                    .noSource, "\(path) is not there. Nothing was done.", advice: "Check the name of the file.")
            }
            guard isFolder.boolValue else {
                inputs.append(WhatsAppInput(path: path, relativePath: (path as NSString).lastPathComponent))
                continue
            }
            let (found, media) = below(path)
            inputs += found
            mediaFiles += media
            guard !found.isEmpty else {
                throw CofferError(
                    .noSource,
                    "There is no .crypt15 file in \(path)"
                        + (media == 0 ? "." : ", but \(media) media files (.mcrypt1)."),
                    advice: media == 0
                        ? "WhatsApp's backups lie in Android/media/com.whatsapp/WhatsApp/Databases and Backups."
                        : "For those: coffer whatsapp media.")
            }
        }
        return (inputs, mediaFiles)
    }

    /// Links are not followed: they could lead anywhere, and in circles.
    private static func below(_ folder: String) -> ([WhatsAppInput], Int) {
        var inputs: [WhatsAppInput] = []
        var mediaFiles = 0
        let enumerator = FileManager.default.enumerator(atPath: folder)
        while let name = enumerator?.nextObject() as? String {
            guard enumerator?.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            if endings.contains(where: name.hasSuffix) {
                inputs.append(WhatsAppInput(path: "\(folder)/\(name)", relativePath: name))
            } else if name.hasSuffix(mediaEnding) {
                mediaFiles += 1
            }
        }
        return (inputs.sorted { $0.relativePath < $1.relativePath }, mediaFiles)
    }

    /// Hands the file out in pieces, in constant memory.
    func read<Failure: Error>(
        _ consume: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(WhatsAppReadError<Failure>) {
        let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, mode_t(status.st_mode) & mode_t(S_IFMT) == S_IFREG
        else { throw .unreadable("it is no file") }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4_096)
        defer { piece.deallocate() }
        while true {
            let got = Foundation.read(file, piece.baseAddress, piece.count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
            guard got > 0 else { return }
            do throws(Failure) {
                try consume(UnsafeRawBufferPointer(rebasing: piece[..<got]))
            } catch { throw .consumer(error) }
        }
    }
}

/// Why a file was not read to its end.
enum WhatsAppReadError<Failure: Error>: Error {
    case unreadable(String)
    case consumer(Failure)
}
