import BackupSources
import Crypt15
import Foundation
import Primitives

extension WhatsAppBackups {
    /// Says of files, and of folders with all that is in them, whether they are whole and whether the key is right; counts chats
    /// and messages where it finds them.
    ///
    /// - Parameter scratch: a folder for what comes out, in a file without a name that is gone when this ends, however it ends.
    ///   Without room there nothing is counted.
    public static func check(
        _ paths: [String], key: WhatsAppKey, scratch: String
    ) throws(CofferError) -> (reports: [WhatsAppReport], mediaFiles: Int) {
        let (inputs, mediaFiles) = try WhatsAppInput.expand(paths)
        var reports: [WhatsAppReport] = []
        for input in inputs { reports.append(try check(input, key, scratch)) }
        return (reports, mediaFiles)
    }

    private static func check(
        _ input: WhatsAppInput, _ key: WhatsAppKey, _ scratch: String
    ) throws(CofferError) -> WhatsAppReport {
        let copy = ScratchCopy(in: scratch)
        let reading: BackupReading
        do {
            let reader = try BackupReader(key: key.root)
            try input.read { piece throws(Never) in reader.feed(piece) { copy.append($0) } }
            reading = reader.finish { copy.append($0) }
        } catch let error as WhatsAppReadError<Never> {
            guard case .unreadable(let reason) = error else {
                throw CofferError(.internalError, "\(input.path) could not be read.", advice: "Try again.")
            }
            return WhatsAppReport(file: input.path, unreadable: reason)
        } catch let error as MissingLibrary {
            throw CofferError(error)
        } catch {
            throw CofferError(.internalError, "\(input.path) could not be read: \(error).", advice: "Try again.")
        }
        var report = WhatsAppReport(file: input.path, reading)
        guard reading.isWhole, [.sqlite, .zip].contains(reading.content) else { return report }
        guard let file = copy.file else {
            report.add("Nothing was counted in it: there is no room in \(scratch); name another folder with --scratch.")
            return report
        }
        if reading.content == .zip { report.describe(.init(file, byteCount: reading.contentBytes)) }
        if reading.content == .sqlite, let count = MessageCount.of(file, scratch: scratch) {
            report.chats = count.chats
            report.messages = count.messages
        }
        return report
    }
}

/// What comes out of a file, for as long as there is room for it.
private final class ScratchCopy {
    /// Nil once there was no room.
    private(set) var file: PendingFile?
    private let bytesMax: UInt64
    private var bytes: UInt64 = 0

    init(in folder: String) {
        bytesMax = freeBytes(near: folder).map { $0 - min($0, WhatsAppBackups.spareBytes) } ?? .max
        file = try? PendingFile(in: folder)
    }

    func append(_ content: UnsafeRawBufferPointer) {
        guard let file else { return }
        bytes += UInt64(content.count)
        if bytes > bytesMax || (try? file.write(content)) == nil { self.file = nil }
    }
}
