import Coffer
import Foundation

/// What a command says: words for people, or one JSON object.
enum Output {
    static func line(_ text: String = "") {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    static func note(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// An error, in the form that the command was asked for.
    static func report(_ error: CofferError) {
        if CommandLine.arguments.contains("--json") {
            struct Report: Encodable {
                struct Content: Encodable {
                    let name: String
                    let message: String
                    let advice: String
                    let exitStatus: Int32
                }
                let error: Content
            }
            let content = Report.Content(
                name: error.code.rawValue, message: error.message, advice: error.advice,
                exitStatus: error.code.exitStatus)
            try? json(Report(error: content))
        } else {
            note("\(error.message)\n\(error.advice)")
        }
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

    static func duration(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3_600: "\(seconds / 60) min \(seconds % 60) s"
        default: "\(seconds / 3_600) h \(seconds / 60 % 60) min"
        }
    }

    /// A moment, in this device's time zone.
    static func time(_ seconds: UInt64) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_GB")
        formatter.dateFormat = "d MMM yyyy, HH:mm"
        return formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
    }
}
