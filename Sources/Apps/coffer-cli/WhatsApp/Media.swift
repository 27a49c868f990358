import ArgumentParser
import Coffer

struct WhatsAppMedia: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "media", abstract: "Open the media files of WhatsApp's cloud backup (.mcrypt1).",
        discussion: """
            Each file is proven before it gets its name: the path that the file .mcrypt1-metadata beside it tells, or else \
            the digits of its own name. Nothing is overwritten, and nothing is written outside of the output folder.
            """)

    @Argument(help: "The folder that holds them.") var folder: String
    @Option(name: .shortAndLong, help: ArgumentHelp("Where the media go.", valueName: "folder")) var output: String
    @OptionGroup var options: WhatsAppOptions

    func run() throws {
        let key = try options.key()
        var files: [OpenedMedia] = []
        do {
            try key.openMedia(in: folder, to: output) { file in
                files.append(file)
                if !options.json { describe(file) }
            }
        } catch {
            // What is done is done, and must not go unsaid.
            if options.json, !files.isEmpty { try Output.json(files) }
            throw error
        }
        if options.json { try Output.json(files) } else { summarise(files) }
        if let worst = WhatsAppOutput.worst(of: files.map(\.exitStatus)) { throw ExitCode(worst) }
    }

    private func describe(_ file: OpenedMedia) {
        let name = Output.printable(name: file.file)
        if let output = file.output {
            let what = file.wasThere ? "was there already" : Words.bytes(file.bytes)
            Output.line("\(Output.printable(name: output))  (\(what))")
        } else {
            Output.note("\(name): \(file.verdict ?? "not read").")
        }
        for note in file.notes { Output.note("  \(name): \(Output.printable(note))") }
    }

    private func summarise(_ files: [OpenedMedia]) {
        let opened = files.filter(\.isOpened)
        Output.line("\(opened.count) of \(Words.count(files.count, "file")) opened to \(output).")
        guard opened.isEmpty else { return }
        Output.note("None could be opened: most likely the key is that of another account, or of an earlier time.")
    }
}
