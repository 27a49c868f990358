import Coffer
import Foundation

/// What a command says: words for people, or one JSON object.
enum Output {
    static func line(_ text: String = "") { write(text + "\n", to: .standardOutput) }

    static func note(_ text: String) { write(text + "\n", to: .standardError) }

    /// What nobody asked for and somebody should know.
    static func warn() { Warnings.take().forEach { note(printable($0)) } }

    /// An output that takes nothing any more (a full disk) ends the program, since nobody would learn what it says.
    static func write(_ text: String, to file: FileHandle) {
        do { try file.write(contentsOf: Data(text.utf8)) } catch { exit(CofferError.Code.internalError.exitStatus) }
    }

    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// An error, in the form that the command was asked for.
    static func report(_ error: CofferError) {
        guard wantsJSON else { return note(printable("\(error.message)\n\(error.advice)")) }
        report(
            name: error.code.rawValue, message: error.message, advice: error.advice, status: error.code.exitStatus)
    }

    static func report(name: String, message: String, advice: String, status: Int32) {
        struct Report: Encodable {
            struct Content: Encodable {
                let name: String
                let message: String
                let advice: String
                let exitStatus: Int32
            }
            let error: Content
        }
        try? json(Report(error: .init(name: name, message: message, advice: advice, exitStatus: status)))
    }

    static var wantsJSON: Bool { CommandLine.arguments.contains("--json") }

    /// Text that may hold a file's name or a stranger's words: control codes, which a terminal would obey, and characters that
    /// turn the direction of what follows are shown as question marks.
    static func printable(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control where scalar != "\n": scalars.append("?")
            case .format, .lineSeparator, .paragraphSeparator: scalars.append("?")
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }

    /// A name on one line.
    static func printable(name: String) -> String {
        name.isEmpty ? "the whole backup" : printable(name).replacing("\n", with: "?")
    }
}

/// Numbers as people read them.
enum Words {
    static func bytes(_ count: UInt64) -> String {
        guard count >= 1_000 else { return count == 1 ? "1 byte" : "\(count) bytes" }
        var value = Double(count) / 1_000
        for unit in ["kB", "MB", "GB"] {
            if value < 999.5 { return format(value, unit) }
            value /= 1_000
        }
        return format(value, "TB")
    }

    private static func format(_ value: Double, _ unit: String) -> String {
        value < 9.95 ? "\(String(format: "%.1f", value)) \(unit)" : "\(Int(value.rounded())) \(unit)"
    }

    static func count(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
        number == 1 ? "1 \(one)" : "\(number) \(many ?? one + "s")"
    }

    /// On one line; what people wrote is shown and not obeyed.
    static func list(_ items: [String]) -> String {
        items.map { Output.printable(name: $0) }.joined(separator: ", ")
    }

    static func duration(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3_600: "\(seconds / 60) min \(seconds % 60) s"
        default: "\(seconds / 3_600) h \(seconds / 60 % 60) min"
        }
    }

    /// A moment, in this device's time zone.
    static func time(_ seconds: UInt64) -> String { format(seconds, "d MMM yyyy, HH:mm") }

    static func day(_ seconds: UInt64) -> String { format(seconds, "d MMMM yyyy") }

    private static func format(_ seconds: UInt64, _ pattern: String) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_GB")
        formatter.dateFormat = pattern
        return formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
    }
}
