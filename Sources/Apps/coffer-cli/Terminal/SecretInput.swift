import ArgumentParser
import Coffer
import Foundation

/// Secrets come from a terminal without echo, or from a file; never from an argument.
enum SecretInput {
    static let bytesMax = 4_096

    /// What a person types, without its line end.
    ///
    /// - Parameter insteadUse: the option to name where there is no terminal.
    static func ask(_ prompt: String, insteadUse option: String) throws -> [UInt8] {
        try ask(prompt, insteadUse: option) { readHiddenLine($0) }
    }

    /// - Parameter readHidden: reads from the terminal, which shows nothing meanwhile; nil if the person interrupts.
    static func ask(
        _ prompt: String, insteadUse option: String, _ readHidden: (_ terminal: Int32) -> [UInt8]?
    ) throws -> [UInt8] {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else {
            throw ValidationError("There is no terminal to ask at. Use \(option).")
        }
        defer { close(terminal) }
        var shown = termios()
        guard tcgetattr(terminal, &shown) == 0 else { throw ValidationError("The terminal cannot hide what is typed.") }
        // Keys come one by one, the one for interrupting too, so that no signal leaves the terminal without echo.
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(terminal, TCSAFLUSH, &hidden)
        // Whoever answers at once must not be seen either.
        write(terminal, prompt)
        let line = readHidden(terminal)
        tcsetattr(terminal, TCSAFLUSH, &shown)
        write(terminal, "\n")
        guard let line else {
            raise(SIGINT)
            throw ExitCode(130)
        }
        return line
    }

    /// nil if the person interrupts.
    private static func readHiddenLine(_ terminal: Int32) -> [UInt8]? {
        var line: [UInt8] = []
        line.reserveCapacity(bytesMax)
        var byte: UInt8 = 0
        defer { byte = 0 }
        while line.count < bytesMax, Foundation.read(terminal, &byte, 1) == 1 {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"): return line
            case 0x03, 0x1c: return nil
            case 0x04: return line.isEmpty ? nil : line
            default: edit(&line, byte)
            }
        }
        return line
    }

    static func edit(_ line: inout [UInt8], _ byte: UInt8) {
        switch byte {
        case 0x15: line.removeAll(keepingCapacity: true)
        case 0x08, 0x7f:
            // One character may be several bytes: those that continue it go with it.
            while let last = line.popLast(), last & 0xc0 == 0x80 {}
        default: line.append(byte)
        }
    }

    /// What a person types, shown while they type.
    static func askVisibly(_ prompt: String, insteadUse option: String) throws -> String {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else {
            throw ValidationError("There is no terminal to ask at. Use \(option).")
        }
        defer { close(terminal) }
        write(terminal, prompt)
        return String(decoding: try readLine(terminal), as: UTF8.self)
    }

    /// The 64-digit key of a backup that there is already, from a file or typed.
    static func sixtyFourDigitKey(file: String?) throws -> SixtyFourDigitKey {
        var text = try file.map(read) ?? askDigits("64-digit key: ", checkDigits: 8, insteadUse: "--key-file")
        return try SixtyFourDigitKey(wiping: &text)
    }

    /// A file's bytes; `-` is standard input.
    static func read(file path: String) throws -> [UInt8] {
        let file = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw ValidationError(unreadable(path, String(cString: strerror(errno))))
        }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                Foundation.read(file, $0.baseAddress.map { $0 + count }, $0.count - count)
            }
            guard got > 0 else { break }
            count += got
        }
        guard count <= bytesMax else { throw ValidationError("\(path) is too long to hold a secret.") }
        let text = Array(bytes[..<count])
        for index in bytes.indices { bytes[index] = 0 }
        return text
    }

    /// Whoever gives the key where its file belongs must not find it again in an error, which others may read.
    private static func unreadable(_ path: String, _ reason: String) -> String {
        guard longestDigits(in: path) >= 32 else { return "\(path) cannot be read: \(reason)." }
        return
            "That looks like the key itself, and is not repeated here. It belongs into a file, or is typed at the prompt. "
            + "The shell's history has it now: remove it from there."
    }

    /// The longest row of hexadecimal digits, whatever separates them.
    private static func longestDigits(in text: String) -> Int {
        var (longest, count) = (0, 0)
        for character in text where !(character.isWhitespace || "-:_.,\u{2013}\u{2014}".contains(character)) {
            count = character.isHexDigit ? count + 1 : 0
            longest = max(longest, count)
        }
        return longest
    }

    private static func readLine(_ terminal: Int32) throws -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(bytesMax)
        var byte: UInt8 = 0
        while line.count < bytesMax, Foundation.read(terminal, &byte, 1) == 1, byte != UInt8(ascii: "\n") {
            line.append(byte)
        }
        byte = 0
        return line
    }

    static func write(_ terminal: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        _ = Foundation.write(terminal, bytes, bytes.count)
    }
}
