import BackupSources
import Crypt15
import Foundation
import Primitives

/// WhatsApp's own encrypted backups (`.crypt15`).
public enum WhatsAppBackups {
    /// So much of a disk is left free where nobody set a limit.
    private static let spareBytes: UInt64 = 64 << 20

    /// What may be written near a path; without bound where the disk does not say what is free.
    static func room(near path: String) -> UInt64 {
        freeBytes(near: path).map { $0 - min($0, spareBytes) } ?? .max
    }

    /// Where opened files go.
    public enum Output: Sendable {
        /// Exactly this file; for one input.
        case file(String)
        /// Into this folder, each under its own name without `.crypt15`.
        case folder(String)
    }

    /// Opens files, and folders with all that is in them.
    ///
    /// A file gets its name only when every byte of it is proven; nothing that exists is overwritten.
    /// - Parameters:
    ///   - output: decides what it is from what is there: a file, or a folder.
    ///   - contentBytesMax: of one file; without it what is free.
    /// - Returns: a report for each file, in the order in which they were looked at.
    public static func open(
        _ paths: [String], to output: String, key: WhatsAppKey, contentBytesMax: UInt64? = nil
    ) throws(CofferError) -> (reports: [WhatsAppReport], mediaFiles: Int) {
        let named = try WhatsAppInput.expand(paths)
        let target = try Self.target(paths, named.inputs, output)
        var reports = named.unreadable
        for input in named.inputs { reports.append(try open(input, to: target, key, contentBytesMax)) }
        return (reports, named.mediaFiles)
    }

    private static func target(
        _ paths: [String], _ inputs: [WhatsAppInput], _ output: String
    ) throws(CofferError) -> Output {
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: output, isDirectory: &isFolder)
        if isThere, isFolder.boolValue { return .folder(output) }
        let isOneFile = paths.count == 1 && inputs.count == 1 && inputs[0].path == paths[0] && !output.hasSuffix("/")
        guard !isThere else { throw CofferError(taken: output) }
        if isOneFile { return .file(output) }
        return .folder(output.count > 1 && output.hasSuffix("/") ? String(output.dropLast()) : output)
    }

    private static func open(
        _ input: WhatsAppInput, to output: Output, _ key: WhatsAppKey, _ contentBytesMax: UInt64?
    ) throws(CofferError) -> WhatsAppReport {
        let folder = folder(of: input, output)
        // On the same disk, since folders that are made lie on their parent's.
        let beginning = nearestFolder(folder)
        let limit = contentBytesMax ?? room(near: beginning)
        let pending: PendingFile
        var report: WhatsAppReport
        do {
            pending = try PendingFile(in: beginning)
            let reader = try BackupReader(key: key.root, contentBytesMax: limit)
            try input.read(until: { reader.isRefused }) { piece throws(PendingFileError) in
                try reader.feed(piece) { content throws(PendingFileError) in try pending.write(content) }
            }
            let reading = try reader.finish { content throws(PendingFileError) in try pending.write(content) }
            report = WhatsAppReport(file: input.path, reading)
            guard reading.isWhole else { return report }
            report.describe(increment(input, reading, pending), of: input)
        } catch let error as WhatsAppReadError<PendingFileError> {
            switch error {
            case .unreadable(let reason): return WhatsAppReport(file: input.path, unreadable: reason)
            case .consumer(let failure): return WhatsAppReport(file: input.path, CofferError(failure, path: folder))
            }
        } catch let error as PendingFileError {
            return WhatsAppReport(file: input.path, CofferError(error, path: folder))
        } catch let error as MissingLibrary {
            throw CofferError(error)
        } catch {
            throw CofferError(.failed("\(error)"), path: folder)
        }
        place(pending, in: folder, as: name(of: input, isIncrement: report.increment != nil, output), &report, output)
        return report
    }

    static func increment(
        _ input: WhatsAppInput, _ reading: BackupReading, _ content: PendingFile
    ) -> WhatsAppReport.Increment? {
        reading.content == .zip ? .init(content, byteCount: reading.contentBytes) : nil
    }

    /// Gives a proven file its name.
    private static func place(
        _ pending: PendingFile, in folder: String, as name: String, _ report: inout WhatsAppReport, _ output: Output
    ) {
        let path = folder == "." ? name : "\(folder)/\(name)"
        do {
            if case .folder = output {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
            try pending.finish(in: folder, as: name)
            report.output = path
        } catch let error as PendingFileError {
            report.fail(CofferError(error, path: path))
        } catch {
            report.fail(CofferError(.failed("the folder cannot be made"), path: path))
        }
    }

    private static func folder(of input: WhatsAppInput, _ output: Output) -> String {
        let (path, isFile) =
            switch output {
            case .file(let path): (path, true)
            case .folder(let path): (path, false)
            }
        if isFile { return FilePath.parent(path) ?? "." }
        return FilePath.parent(input.relativePath).map { "\(path)/\($0)" } ?? path
    }

    /// The folder itself, or the nearest above it that is there.
    private static func nearestFolder(_ folder: String) -> String {
        var folder = folder
        while access(folder, F_OK) != 0, errno == ENOENT {
            let parent = FilePath.parent(folder) ?? "."
            guard parent != folder else { break }
            folder = parent
        }
        return folder
    }

    /// The name that the file had before it was encrypted; increments are archives, and are called so.
    private static func name(
        of input: WhatsAppInput, isIncrement: Bool, _ output: Output
    ) -> String {
        if case .file(let path) = output { return FilePath.name(path) }
        return input.contentName(isIncrement: isIncrement)
    }
}

extension WhatsAppReport {
    /// Adds what an increment holds, and that no database has it.
    mutating func describe(_ increment: Increment?, of input: WhatsAppInput) {
        guard let increment else {
            if input.isNamedIncrement {
                add("By its name it is an increment, but it has no list of what it holds that could be read.")
            }
            return
        }
        self.increment = increment
        let counts = [
            increment.messages.map { "\($0) messages" }, increment.messagesUpdated.map { "\($0) changed" },
            increment.messagesDeleted.map { "\($0) deleted" },
        ].compactMap { $0 }
        add(
            "It is an increment (\(counts.isEmpty ? "it does not say how much" : counts.joined(separator: ", "))), a ZIP archive of \(increment.members.count) "
                + "files. Nothing of it was put into a database: how WhatsApp does that is not known well enough.")
    }
}

extension CofferError {
    init(taken path: String) {
        self.init(
            .targetNotEmpty, "\(path) is there already. It was left as it is, and nothing was written.",
            advice: "Name another file or folder.")
    }

    init(_ error: PendingFileError, path: String) {
        switch error {
        case .exists: self.init(taken: path)
        case .full:
            self.init(
                .targetFailed, "There is no room left for \(path). Nothing of this file was written.",
                advice: "Free some space, or name a folder on another disk.")
        case .failed(let reason):
            self.init(
                .targetFailed, "\(path) cannot be written: \(reason). Nothing of this file was written.",
                advice: "Check the folder and its permissions.")
        }
    }
}
