import Foundation

extension SecretInput {
    /// Programs that paste do it at once; over a slow line pieces come apart by less than this.
    private static let pauseMilliseconds: Int32 = 250
    private static let keyDigits = 64

    /// What a person types or pastes of a 64-digit key, in one line or as the grid of several lines in which it is shown.
    ///
    /// It ends with a line in which the 64th digit has come, or with a character that no key has, or with an empty line. What is still
    /// coming then is taken off the terminal: a shell would run it, and keep it in its history.
    /// - Parameter checkDigits: how many more digits may follow the 64.
    static func askDigits(_ prompt: String, checkDigits: Int = 0, insteadUse option: String) throws -> [UInt8] {
        try ask(prompt, insteadUse: option) { terminal in
            defer { drain(terminal) }
            return readDigits(terminal, digitsMax: keyDigits + checkDigits)
        }
    }

    /// nil if the person interrupts.
    private static func readDigits(_ terminal: Int32, digitsMax: Int) -> [UInt8]? {
        var text: [UInt8] = []
        text.reserveCapacity(bytesMax)
        var byte: UInt8 = 0
        defer { byte = 0 }
        while text.count < bytesMax, Foundation.read(terminal, &byte, 1) == 1 {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                let isEmptyLine = text.isEmpty || text.last == UInt8(ascii: "\n")
                text.append(UInt8(ascii: "\n"))
                let digits = text.count(where: isDigit)
                if digits >= digitsMax || text.contains(where: isForeign) { return text }
                // In what is pasted there may be empty lines, and check groups behind the digits.
                guard !isComing(terminal) else { continue }
                if isEmptyLine, digits == 0 { return [] }
                if digits >= keyDigits || isEmptyLine { return text }
                write(terminal, "\n\(digits) of \(keyDigits) digits. Type on, or Enter to end: ")
            case 0x03, 0x1c: return nil
            case 0x04: return text.isEmpty ? nil : text
            default: edit(&text, byte)
            }
        }
        return text
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    /// Neither a digit nor what may stand between digits; beyond ASCII there are dashes and spaces.
    private static func isForeign(_ byte: UInt8) -> Bool {
        !isDigit(byte) && byte < 0x80 && byte > 0x20 && byte != UInt8(ascii: "-") && byte != UInt8(ascii: ":")
    }

    private static func isComing(_ terminal: Int32) -> Bool {
        var look = pollfd(fd: terminal, events: Int16(POLLIN), revents: 0)
        return poll(&look, 1, pauseMilliseconds) == 1 && look.revents & Int16(POLLIN) != 0
    }

    private static func drain(_ terminal: Int32) {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        defer { for index in bytes.indices { bytes[index] = 0 } }
        while isComing(terminal), Foundation.read(terminal, &bytes, bytes.count) > 0 {}
    }
}
