package import ByteCoding

/// PADMÉ (Nikitin et al., PETS 2019, algorithm 1): rounds a length up so that it leaks O(log log n) bits and costs at
/// most 12 %.
package func padmé(_ count: Int) -> Int {
    guard count >= 2 else { return count }
    let exponent = Int.bitWidth - 1 - count.leadingZeroBitCount
    let significant = Int.bitWidth - exponent.leadingZeroBitCount
    let mask = (1 << (exponent - significant)) - 1
    return (count + mask) & ~mask
}

/// What a structure of `count` bytes is padded to (section 4).
package func paddedBytes(_ count: Int) -> Int { max(1_024, padmé(count)) }

extension ByteCodable {
    /// The structure and zeros up to the padded length.
    package func encodedAndPadded() throws(ByteCodingError) -> [UInt8] {
        let bytes = try encoded()
        return bytes + [UInt8](repeating: 0, count: paddedBytes(bytes.count) - bytes.count)
    }
}
