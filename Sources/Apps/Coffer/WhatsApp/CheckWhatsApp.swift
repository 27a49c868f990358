import BackupSources
import Crypt15
import Foundation
import Primitives

extension WhatsAppBackups {
    /// Says of files, and of folders with all that is in them, whether they are whole and whether the key is right; counts chats
    /// and messages where it finds them.
    ///
    /// - Parameters:
    ///   - scratch: a folder for what comes out, in a file that has a name at no time; nil for the place of temporary files. Without
    ///     room there nothing is counted.
    ///   - contentBytesMax: of one file, as far as it is unpacked there; without it what is free.
    public static func check(
        _ paths: [String], key: WhatsAppKey, scratch: String? = nil, contentBytesMax: UInt64? = nil
    ) throws(CofferError) -> (reports: [WhatsAppReport], mediaFiles: Int) {
        let scratch = scratch ?? temporaryFolder()
        let named = try WhatsAppInput.expand(paths)
        var reports = named.unreadable
        for input in named.inputs { reports.append(try check(input, key, scratch, contentBytesMax)) }
        return (reports, named.mediaFiles)
    }

    private static func check(
        _ input: WhatsAppInput, _ key: WhatsAppKey, _ scratch: String, _ contentBytesMax: UInt64?
    ) throws(CofferError) -> WhatsAppReport {
        let copy = ScratchCopy(in: scratch, bytesMax: contentBytesMax)
        let reading: BackupReading
        do {
            let reader = try BackupReader(key: key.root)
            try input.read(until: { reader.isRefused }) { piece throws(Never) in
                reader.feed(piece) { copy.append($0) }
            }
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
            report.add(
                contentBytesMax == nil
                    ? "Nothing was counted in it: there is no room in \(scratch); name another folder with --scratch."
                    : "Nothing was counted in it: it is larger than --max-bytes, or there is no room in \(scratch).")
            return report
        }
        report.describe(increment(input, reading, file), of: input)
        if reading.content == .sqlite, let count = MessageCount.of(file, bytes: copy.bytes) {
            report.chats = count.chats
            report.messages = count.messages
        }
        return report
    }
}

/// What comes out of a file and can be counted, for as long as there is room for it.
private final class ScratchCopy {
    private static let headBytes = 100

    /// Nil once there was no room.
    private(set) var file: PendingFile?
    private(set) var bytes: UInt64 = 0
    /// The first bytes, until they say how many can be needed.
    private var head: [UInt8] = []
    private var bytesNeeded: UInt64 = .max
    private let bytesMax: UInt64

    init(in folder: String, bytesMax: UInt64?) {
        self.bytesMax = min(bytesMax ?? .max, WhatsAppBackups.room(near: folder))
        file = try? PendingFile(in: folder, isNamedLater: false)
    }

    func append(_ content: UnsafeRawBufferPointer) {
        guard let file else { return }
        if head.count < Self.headBytes {
            head += content.prefix(Self.headBytes - head.count)
            bytesNeeded = Self.bytesNeeded(head)
        }
        let part = content.prefix(Int(clamping: bytesNeeded - min(bytes, bytesNeeded)))
        bytes += UInt64(part.count)
        if bytes > bytesMax || (try? file.write(UnsafeRawBufferPointer(rebasing: part))) == nil { self.file = nil }
    }

    /// What SQLite's header says that the database has (its file format, section 1.3): whatever comes behind that, SQLite does not
    /// look at. The header may lie, but its page count cannot make the copy larger than the content.
    private static func bytesNeeded(_ head: [UInt8]) -> UInt64 {
        guard head.count == headBytes, head.starts(with: Array("SQLite format 3\0".utf8)) else { return .max }
        func number(_ place: Int, _ count: Int) -> UInt64 {
            head[place..<place + count].reduce(0) { $0 << 8 | UInt64($1) }
        }
        let pageBytes = number(16, 2) == 1 ? 65_536 : number(16, 2)
        // Programs of before 2010 left the count of pages as it was, and the two counters of changes apart.
        guard number(24, 4) == number(92, 4), number(28, 4) > 0 else { return .max }
        return pageBytes * number(28, 4)
    }
}
