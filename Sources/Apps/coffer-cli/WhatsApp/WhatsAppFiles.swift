import ArgumentParser
import Coffer
import Foundation

struct WhatsAppOpen: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "Decrypt .crypt15 files.",
        discussion: """
            A file gets its name only when every byte of it is proven; nothing that exists is overwritten. Databases, archives \
            and pictures come out as they were before WhatsApp encrypted them. What comes out is not encrypted any more.
            """)

    @Argument(help: ArgumentHelp("A .crypt15 file, or a folder with such files in it.", valueName: "file"))
    var files: [String]
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("For one file: the file to write. Otherwise, or if it is one: the folder.", valueName: "out")
    )
    var output: String
    @Option(
        help: ArgumentHelp(
            "At most so many bytes may come out of a file. Without it: what is free on the disk.", valueName: "bytes"))
    var maxBytes: UInt64?
    @OptionGroup var options: WhatsAppOptions

    func run() throws {
        let (reports, mediaFiles) = try WhatsAppBackups.open(
            files, to: output, key: try options.key(), contentBytesMax: maxBytes)
        try WhatsAppOutput.report(reports, mediaFiles: mediaFiles, options)
    }
}

struct WhatsAppCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say whether .crypt15 files are whole and the key is right.",
        discussion: """
            Reads every byte and keeps nothing. A message database is unpacked into a file that has a name at no time, so that its \
            chats and messages can be counted.
            """)

    @Argument(help: ArgumentHelp("A .crypt15 file, or a folder with such files in it.", valueName: "file"))
    var files: [String]
    @Option(
        help: ArgumentHelp(
            "Where a database is unpacked for counting. Without it: the system's place for temporary files.",
            valueName: "folder"))
    var scratch: String?
    @Option(
        help: ArgumentHelp(
            "Count only where at most so many bytes are unpacked for it. Without it: what is free there.",
            valueName: "bytes"))
    var maxBytes: UInt64?
    @OptionGroup var options: WhatsAppOptions

    func run() throws {
        let (reports, mediaFiles) = try WhatsAppBackups.check(
            files, key: try options.key(), scratch: scratch, contentBytesMax: maxBytes)
        try WhatsAppOutput.report(reports, mediaFiles: mediaFiles, options)
    }
}

struct WhatsAppSeal: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seal",
        abstract: "Encrypt a database as a .crypt15 file. Not tried against WhatsApp.",
        discussion: """
            Takes the header of a backup of the same phone, byte for byte but for a new random nonce. Nobody has tried whether \
            WhatsApp restores such a file: keep the phone's own backup.
            """)

    @Argument(help: ArgumentHelp("The SQLite database.", valueName: "database")) var database: String
    @Option(
        help: ArgumentHelp("A .crypt15 of the same phone and key, whose header is taken.", valueName: "file"))
    var like: String
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The file to write. Without it: the database's name with .crypt15.", valueName: "out"))
    var output: String?
    @Option(
        help: ArgumentHelp(
            "zlib's level, 1 (fast) to 9 (small). Without it: that of the other backup, which today is 9 and takes minutes.",
            valueName: "level"))
    var level: Int?
    @OptionGroup var options: WhatsAppOptions

    func validate() throws {
        if let level, !(1...9).contains(level) { throw ValidationError("--level is a number from 1 to 9.") }
    }

    func run() throws {
        let report = try WhatsAppBackups.seal(
            database, like: like, to: output ?? "\(database).crypt15", key: try options.key(), level: level)
        try WhatsAppOutput.report([report], mediaFiles: 0, options)
    }
}
