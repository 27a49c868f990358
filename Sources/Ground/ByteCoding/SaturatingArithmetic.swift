/// Sums of numbers that came from outside: they stop at the type's end instead of running over.
extension FixedWidthInteger where Self: UnsignedInteger {
    package func saturatingAdd(_ other: Self) -> Self {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    package func saturatingSubtract(_ other: Self) -> Self { self > other ? self - other : 0 }
}
