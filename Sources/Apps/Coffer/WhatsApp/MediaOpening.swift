import BackupEngine
import BackupSources
import Crypt15

/// What became of one `.mcrypt1` file.
public struct OpenedMedia: Sendable, Equatable, Encodable {
    /// From the folder that was opened.
    public let file: String
    /// `ok`, `damaged-or-wrong-key`, `truncated` or `not-a-backup`; nil if the file could not be read.
    public let verdict: String?
    /// From the output folder; nil if nothing was written.
    public let output: String?
    /// What its metadata call it, if they are from whoever has the key.
    public let path: String?
    /// `none`, `confirmed`, `unconfirmed`, `of-another-file`, `damaged-or-wrong-key`, `no-name`, `malformed` or `refused-path`: whether the metadata name it.
    public let naming: String
    public let bytes: UInt64
    /// The very content was in the output folder before.
    public let wasThere: Bool
    /// It had lost its own name, which its metadata gave back.
    public let wasRenamed: Bool
    /// What the person should know, a sentence each.
    public let notes: [String]

    init(_ outcome: MediaOutcome) {
        file = String(decoding: outcome.file, as: UTF8.self)
        verdict = outcome.verdict?.rawValue
        let code = outcome.verdict.map(\.code) ?? .noSource
        exitStatus = code?.exitStatus ?? 0
        output = outcome.output.map { String(decoding: $0, as: UTF8.self) }
        path = outcome.claimedPath
        naming = outcome.naming.rawValue
        bytes = outcome.bytes
        wasThere = outcome.wasThere
        wasRenamed = outcome.wasRenamed
        notes = Self.notes(outcome)
    }

    public var isOpened: Bool { output != nil }

    /// 0 if nothing is wrong.
    public let exitStatus: Int32

    private enum CodingKeys: String, CodingKey {
        case file, verdict, output, path, naming, bytes, wasThere, wasRenamed, notes
    }

    private static func notes(_ outcome: MediaOutcome) -> [String] {
        var notes: [String] = []
        let isOpened = outcome.output != nil
        let knowsKey = ![.none, .damagedOrWrongKey].contains(outcome.naming)
        switch outcome.verdict {
        case .damagedOrWrongKey where knowsKey:
            notes.append("The key is right, for it opens the metadata; the file is damaged, or has lost its name.")
        case .damagedOrWrongKey:
            notes.append("It is damaged, or sealed under another key or another name.")
        case .truncated: notes.append("It is shorter than any such file.")
        case .notABackup:
            notes.append("Its name is not the 64 digits that it was sealed under, without which it does not open.")
        default: break
        }
        if let problem = outcome.problem {
            notes.append(isOpened ? "It did not get its own name: \(problem)." : "It cannot be read: \(problem).")
        }
        if isOpened {
            switch outcome.naming {
            case .ofAnotherFile: notes.append("The metadata beside it are of another file.")
            case .damagedOrWrongKey: notes.append("Its metadata are damaged, or of another key.")
            case .noName: notes.append("Its metadata tell no name.")
            case .malformed: notes.append("Its metadata are of this key, and cannot be read all the same.")
            case .refusedPath: notes.append("The path in its metadata leads out of the folder, and was not used.")
            case .none, .confirmed, .unconfirmed: break
            }
        }
        return notes
    }
}

extension WhatsAppKey {
    /// Opens every `.mcrypt1` below a folder into another one, with their paths where metadata tell them. A file gets its name when it
    /// is proven; nothing is overwritten, and nothing is written outside of the folder.
    ///
    /// - Parameter each: called for each file when it is done, and for each folder that could not be looked into.
    public func openMedia(
        in folder: String, to output: String, each: (OpenedMedia) -> Void
    ) throws(CofferError) {
        let media: MediaFolder
        let files: (media: [[UInt8]], unreadable: [[UInt8]])
        do {
            media = try MediaFolder(path: folder, key: root)
            files = try media.files()
        } catch {
            throw CofferError(
                .noSource, "\(folder) is not there, is not a folder, or cannot be read.", advice: "Check its name.")
        }
        guard !files.media.isEmpty || !files.unreadable.isEmpty else {
            throw CofferError(
                .noSource, "There is no .mcrypt1 file in \(folder).",
                advice: "Name the folder with the media that were downloaded from WhatsApp's cloud backup.")
        }
        let target: OutputFolder
        do { target = try OutputFolder(path: output) } catch { throw CofferError(error, writingTo: output) }
        for file in files.media {
            do { each(OpenedMedia(try media.open(file, into: target))) } catch {
                switch error {
                case .output(let error): throw CofferError(error, writingTo: output)
                case .missingLibrary(let error): throw CofferError(error)
                }
            }
        }
        for path in files.unreadable {
            each(OpenedMedia(MediaOutcome(unreadable: path)))
        }
    }
}

extension CofferError {
    fileprivate init(_ error: OutputError, writingTo folder: String) {
        switch error {
        case .place(let words), .failed(let words):
            self.init(
                .targetFailed, "\(folder) cannot be written to: \(words). What was opened so far is whole.",
                advice: "Make room or name another folder, and run the command again: what is there is kept.")
        }
    }
}
