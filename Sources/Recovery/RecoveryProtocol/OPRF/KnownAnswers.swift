import ByteCoding
package import Primitives

/// The verdict on one known answer.
package struct KnownAnswerVerdict: Equatable, Sendable {
    package let name: String
    /// What came out otherwise than the vector says; nil if all agrees.
    package let mismatch: String?

    package var agrees: Bool { mismatch == nil }
}

/// One suite and mode of RFC 9497's vectors, in the form of the RFC's own `allVectors.json`. Values are hexadecimal;
/// those of a batch are joined by commas.
package struct RFC9497Vectors: Codable, Sendable {
    package struct Vector: Codable, Sendable {
        package struct Proof: Codable, Sendable {
            package let proof: String
            package let r: String
        }

        enum CodingKeys: String, CodingKey {
            case blind = "Blind"
            case blindedElement = "BlindedElement"
            case evaluationElement = "EvaluationElement"
            case info = "Info"
            case input = "Input"
            case output = "Output"
            case proof = "Proof"
        }

        package let blind: String
        package let blindedElement: String
        package let evaluationElement: String
        /// Only in mode 2.
        package let info: String?
        package let input: String
        package let output: String
        package let proof: Proof?
    }

    package let identifier: String
    package let mode: UInt8
    package let skSm: String
    package let pkSm: String?
    package let vectors: [Vector]

    /// One verdict for each vector. A suite that the protocol does not use is a mismatch: a file that should be checked
    /// must not pass unchecked.
    package func run() -> [KnownAnswerVerdict] {
        vectors.indices.map { position in
            let name = "RFC 9497 \(identifier) mode \(mode) vector \(position + 1)"
            guard identifier == "ristretto255-SHA512", let mode = OPRF.Mode(rawValue: mode) else {
                return KnownAnswerVerdict(name: name, mismatch: "suite or mode not supported")
            }
            return KnownAnswerVerdict(name: name, mismatch: mismatch { try check(vectors[position], mode: mode) })
        }
    }

    private func check(_ vector: Vector, mode: OPRF.Mode) throws {
        let info = try vector.info.map { try Hex.decode($0) }
        let key = try evaluationKey(mode: mode, info: info)
        let inputs = try vector.input.parts.map { SecretBytes(copying: try Hex.decode($0)) }
        let blinds = try vector.blind.parts.map { try Scalar(hex: $0) }
        let outputs = try vector.output.parts.map { try Hex.decode($0) }
        let blinded = try vector.blindedElement.parts.map { try GroupElement(hex: $0) }
        let evaluated = try vector.evaluationElement.parts.map { try GroupElement(hex: $0) }
        let counts = [blinds.count, outputs.count, blinded.count, evaluated.count]
        try require(counts.allSatisfy { $0 == inputs.count }, "batch")
        for position in inputs.indices {
            let made = try OPRF.blind(inputs[position], with: blinds[position], mode: mode)
            try require(made == blinded[position], "BlindedElement")
            try require(key * made == evaluated[position], "EvaluationElement")
            let output = OPRF.finalize(
                input: inputs[position], blind: blinds[position], evaluation: evaluated[position], info: info)
            try require(output?.isEqual(to: SecretBytes(copying: outputs[position])) == true, "Output")
        }
        guard mode != .base else { return }
        try checkProof(vector, mode: mode, key: key, blinded: blinded, evaluated: evaluated)
    }

    /// skSm, or in the partially oblivious mode the inverse of skSm plus the hash of `info` (RFC 9497 section 3.3.3).
    private func evaluationKey(mode: OPRF.Mode, info: [UInt8]?) throws -> Scalar {
        let key = try Scalar(hex: skSm)
        guard mode == .partiallyOblivious else { return key }
        guard let info else { throw Mismatch(field: "Info missing") }
        let tweak = OPRF.hashToScalar(
            Array("Info".utf8) + OPRF.twoBytes(info.count) + info,
            tag: Array("HashToScalar-".utf8) + mode.contextString)
        guard let inverse = (key + tweak).inverted else { throw Mismatch(field: "Info") }
        return inverse
    }

    private func checkProof(
        _ vector: Vector, mode: OPRF.Mode, key: Scalar, blinded: [GroupElement], evaluated: [GroupElement]
    ) throws {
        guard let proof = vector.proof, let pkSm else { throw Mismatch(field: "Proof missing") }
        try require(try GroupElement(hex: pkSm) == Scalar(hex: skSm).timesGenerator, "pkSm")
        let isTweaked = mode == .partiallyOblivious
        // The partially oblivious mode proves the step from the evaluation back to the blinded element.
        guard let proved = isTweaked ? key.inverted : key else { throw Mismatch(field: "Info") }
        let (inputs, outputs) = isTweaked ? (evaluated, blinded) : (blinded, evaluated)
        let made = DLEQ.prove(
            share: proved, shareKey: proved.timesGenerator, inputs: inputs, outputs: outputs,
            nonce: try Scalar(hex: proof.r), mode: mode)
        try require(made.hex == proof.proof, "Proof")
        try require(
            DLEQ.isValid(made, shareKey: proved.timesGenerator, inputs: inputs, outputs: outputs, mode: mode),
            "Proof verification")
    }
}

/// One case of the threshold vectors (Specs/vectors/recovery/threshold-voprf.json): a key, its shares, one input, and
/// what each index answers.
package struct ThresholdVectors: Codable, Sendable {
    package let n: Int
    package let t: Int
    package let indices: [UInt8]
    package let input: String
    package let coefficients: [String]
    package let shares: [String: String]
    package let commitments: [String: String]
    package let blind: String
    package let blindedElement: String
    package let evaluations: [String: String]
    package let proofRandomness: [String: String]
    package let proofs: [String: String]
    package let output: String

    /// Checks shares, evaluations and proofs of every index, that every t-subset gives the output, and that t−1 do not.
    package func run() -> KnownAnswerVerdict {
        KnownAnswerVerdict(
            name: "threshold VOPRF \(t) of \(n) at \(indices.map(String.init).joined(separator: ","))",
            mismatch: mismatch { try check() })
    }

    private func check() throws {
        let input = SecretBytes(copying: try Hex.decode(input))
        let blind = try Scalar(hex: blind)
        let blinded = try OPRF.blind(input, with: blind)
        try require(blinded.hex == blindedElement, "blindedElement")
        try require(coefficients.count == t && indices.count == n, "n, t")
        let coefficients = try coefficients.map { try Scalar(hex: $0) }
        let shares = SecretSharing.split(coefficients: coefficients, indices: indices)
        var evaluated: [(index: UInt8, element: GroupElement)] = []
        for share in shares {
            let evaluation = try check(share, blinded: blinded)
            evaluated.append((share.index, evaluation.element))
        }
        let expected = SecretBytes(copying: try Hex.decode(output))
        for subset in subsets(of: evaluated, count: t) {
            try require(output(of: subset, input: input, blind: blind)?.isEqual(to: expected) == true, "output")
        }
        for subset in subsets(of: evaluated, count: t - 1) where !subset.isEmpty {
            try require(output(of: subset, input: input, blind: blind)?.isEqual(to: expected) == false, "t−1 of t")
        }
    }

    private func check(_ share: SecretShare, blinded: GroupElement) throws -> Evaluation {
        let key = String(share.index)
        guard let value = shares[key], let commitment = commitments[key], let element = evaluations[key],
            let nonce = proofRandomness[key], let proof = proofs[key]
        else { throw Mismatch(field: "index \(key) missing") }
        try require(share.value == (try Scalar(hex: value)), "share \(key)")
        let evaluation = Evaluation(of: blinded, share: share.value, nonce: try Scalar(hex: nonce))
        try require(evaluation.shareKey.hex == commitment, "commitment \(key)")
        try require(evaluation.element.hex == element, "evaluation \(key)")
        try require(evaluation.proof.hex == proof, "proof \(key)")
        try require(
            DLEQ.isValid(
                evaluation.proof, shareKey: evaluation.shareKey, inputs: [blinded], outputs: [evaluation.element]),
            "proof \(key) verification")
        return evaluation
    }

    private func output(
        of subset: [(index: UInt8, element: GroupElement)], input: SecretBytes, blind: Scalar
    ) -> SecretBytes? {
        SecretSharing.combine(subset).flatMap { OPRF.finalize(input: input, blind: blind, evaluation: $0) }
    }
}

/// Every subset of a given size, in order.
package func subsets<Item>(of items: [Item], count: Int) -> [[Item]] {
    guard count > 0 else { return [[]] }
    guard items.count >= count, let first = items.first else { return [] }
    let rest = Array(items.dropFirst())
    return subsets(of: rest, count: count - 1).map { [first] + $0 } + subsets(of: rest, count: count)
}

private struct Mismatch: Error {
    let field: String
}

private func require(_ condition: Bool, _ field: String) throws {
    if !condition { throw Mismatch(field: field) }
}

private func mismatch(_ check: () throws -> Void) -> String? {
    do {
        try check()
        return nil
    } catch let error as Mismatch {
        return error.field
    } catch {
        return "unreadable"
    }
}

extension Scalar {
    package init(hex: some StringProtocol) throws {
        var bytes = try Hex.decode(hex)
        self = try Scalar(wiping: &bytes)
    }
}

extension GroupElement {
    package init(hex: some StringProtocol) throws {
        self = try GroupElement(validating: try Hex.decode(hex))
    }

    package var hex: String { Hex.encode(bytes) }
}

extension String {
    fileprivate var parts: [Substring] { split(separator: ",", omittingEmptySubsequences: false) }
}
