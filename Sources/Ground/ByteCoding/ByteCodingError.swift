/// Why bytes could not be read, or a value could not be written, in the TLS presentation language.
///
/// The cases carry no content of the bytes: an error may be logged, what it was found in may not.
package enum ByteCodingError: Error, Equatable {
    /// The bytes end before the structure does.
    case truncated
    /// Bytes are left over after the structure's end.
    case trailingBytes
    /// A vector is longer or shorter than its declaration allows.
    case lengthOutOfRange
    /// A field holds a value that its declaration does not allow (an unknown kind, a non-zero padding byte, …).
    case invalidValue
    /// A text field is not valid UTF-8.
    case invalidText
    /// A text is not an even number of hexadecimal digits.
    case invalidHex
}
