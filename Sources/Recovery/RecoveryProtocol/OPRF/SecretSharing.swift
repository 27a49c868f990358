package import Primitives

/// One share of a scalar: f(index).
package struct SecretShare: Equatable, Sendable {
    package let index: UInt8
    package let value: Scalar

    package init(index: UInt8, value: Scalar) {
        self.index = index
        self.value = value
    }
}

/// Shamir's sharing (1979) over the scalar field of ristretto255.
package enum SecretSharing {
    /// f(index) for each index; `coefficients` from the constant term (the secret) upwards, t of them.
    package static func split(coefficients: [Scalar], indices: [UInt8]) -> [SecretShare] {
        indices.map { index in
            let x = Scalar(index)
            let value = coefficients.reversed().reduce(Scalar(0)) { $0 * x + $1 }
            return SecretShare(index: index, value: value)
        }
    }

    /// λ_i such that f(x) = Σ λ_i·f(index_i) for every f of a degree below the number of indices. Nil if an index
    /// stands twice.
    package static func lagrangeCoefficients(_ indices: [UInt8], at x: UInt8 = 0) -> [Scalar]? {
        var coefficients: [Scalar] = []
        for index in indices {
            var numerator = Scalar.one
            var denominator = Scalar.one
            for other in indices where other != index {
                numerator = numerator * (Scalar(x) - Scalar(other))
                denominator = denominator * (Scalar(index) - Scalar(other))
            }
            guard indices.count(where: { $0 == index }) == 1, let inverse = denominator.inverted else { return nil }
            coefficients.append(numerator * inverse)
        }
        return coefficients
    }

    /// f(x) from shares; nil if an index stands twice or there are none.
    package static func interpolate(_ shares: [SecretShare], at x: UInt8 = 0) -> Scalar? {
        guard !shares.isEmpty, let coefficients = lagrangeCoefficients(shares.map(\.index), at: x) else { return nil }
        return zip(coefficients, shares).reduce(Scalar(0)) { $0 + $1.0 * $1.1.value }
    }

    /// Σ λ_i·E_i: the element that the whole key would have made, from those that its shares made.
    package static func combine(_ elements: [(index: UInt8, element: GroupElement)]) -> GroupElement? {
        guard let coefficients = lagrangeCoefficients(elements.map(\.index)) else { return nil }
        var sum: GroupElement?
        for (coefficient, part) in zip(coefficients, elements) {
            let term = coefficient * part.element
            sum = sum.map { $0 + term } ?? term
        }
        return sum
    }

    /// Whether every t of the shares give `secret`. All of them lie on the polynomial through the first t, and that
    /// polynomial's value at 0 is the secret: this says the same of every subset, in n−t+1 interpolations.
    package static func isConsistent(_ shares: [SecretShare], threshold: Int, secret: Scalar) -> Bool {
        guard threshold > 0, shares.count >= threshold else { return false }
        let first = Array(shares.prefix(threshold))
        guard interpolate(first) == secret else { return false }
        return shares.dropFirst(threshold).allSatisfy { interpolate(first, at: $0.index) == $0.value }
    }
}
