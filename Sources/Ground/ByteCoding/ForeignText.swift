extension StringProtocol {
    /// The text as it may go to a terminal when somebody else wrote it: control and format characters and line ends stand
    /// as numbers, for they could clear the screen, rewrite what was said before, or turn the reading direction around.
    package var printable: String {
        var text = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
