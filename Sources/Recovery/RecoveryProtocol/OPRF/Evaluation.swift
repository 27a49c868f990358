package import Primitives

/// One vault's evaluation of a blinded element under its share, with the proof that it used that share.
package struct Evaluation: Hashable, Sendable {
    /// k_i·B
    package let element: GroupElement
    /// C_i = k_i·G
    package let shareKey: GroupElement
    package let proof: EvaluationProof

    /// The vault's side. The proof's nonce is hedged: it depends on the share and on what is proved beside the
    /// random bytes, so that a broken or rolled-back source of randomness does not give the share away.
    package init(
        of blindedElement: GroupElement, share: Scalar, using generator: inout some RandomNumberGenerator
    ) {
        let shareKey = share.timesGenerator
        var seed: [UInt8] = []
        seed.reserveCapacity(4 * 32)
        defer { seed.wipe() }
        share.append(to: &seed)
        seed += shareKey.bytes + blindedElement.bytes + generator.bytes(32)
        let nonce = OPRF.hashToScalar(seed, tag: Label.proofNonce.bytes)
        self.init(of: blindedElement, share: share, shareKey: shareKey, nonce: nonce)
    }

    /// With a given nonce, for known answers.
    package init(of blindedElement: GroupElement, share: Scalar, nonce: Scalar) {
        self.init(of: blindedElement, share: share, shareKey: share.timesGenerator, nonce: nonce)
    }

    private init(of blindedElement: GroupElement, share: Scalar, shareKey: GroupElement, nonce: Scalar) {
        element = share * blindedElement
        self.shareKey = shareKey
        proof = DLEQ.prove(
            share: share, shareKey: shareKey, inputs: [blindedElement], outputs: [element], nonce: nonce)
    }
}

/// Proofs that one scalar took the generator to the share's key and each input to its output (RFC 9497 section 2.2).
package enum DLEQ {
    /// RFC 9497 section 2.2.1, GenerateProof.
    package static func prove(
        share: Scalar, shareKey: GroupElement, inputs: [GroupElement], outputs: [GroupElement], nonce: Scalar,
        mode: OPRF.Mode = .verifiable
    ) -> EvaluationProof {
        let weights = weights(shareKey: shareKey, inputs: inputs, outputs: outputs, mode: mode)
        let composite = sum(of: inputs, weights)
        let challenge = challenge(
            shareKey: shareKey, compositeInput: composite, compositeOutput: share * composite,
            first: nonce.timesGenerator, second: nonce * composite, mode: mode)
        let response = nonce - challenge * share
        return EvaluationProof(uncheckedBytes: challenge.exposed() + response.exposed())
    }

    /// RFC 9497 section 2.2.2, VerifyProof.
    package static func isValid(
        _ proof: EvaluationProof, shareKey: GroupElement, inputs: [GroupElement], outputs: [GroupElement],
        mode: OPRF.Mode = .verifiable
    ) -> Bool {
        guard inputs.count == outputs.count, !inputs.isEmpty,
            let challenge = try? Scalar(copying: Array(proof.bytes.prefix(32))),
            let response = try? Scalar(copying: Array(proof.bytes.suffix(32)))
        else { return false }
        let weights = weights(shareKey: shareKey, inputs: inputs, outputs: outputs, mode: mode)
        let composites = (input: sum(of: inputs, weights), output: sum(of: outputs, weights))
        let expected = self.challenge(
            shareKey: shareKey, compositeInput: composites.input, compositeOutput: composites.output,
            first: response.timesGenerator + challenge * shareKey,
            second: response * composites.input + challenge * composites.output, mode: mode)
        return expected == challenge
    }

    /// RFC 9497 section 2.2.1, ComputeComposites: d_i. Who proves needs no second sum, for it is the share times the
    /// first (ComputeCompositesFast).
    private static func weights(
        shareKey: GroupElement, inputs: [GroupElement], outputs: [GroupElement], mode: OPRF.Mode
    ) -> [Scalar] {
        let context = mode.contextString
        let seedTag = Array("Seed-".utf8) + context
        let seed = sha512(prefixed(shareKey.bytes) + prefixed(seedTag))
        return zip(inputs, outputs).enumerated().map { position, pair in
            let transcript =
                prefixed(seed) + OPRF.twoBytes(position) + prefixed(pair.0.bytes) + prefixed(pair.1.bytes)
                + Array("Composite".utf8)
            return OPRF.hashToScalar(transcript, tag: Array("HashToScalar-".utf8) + context)
        }
    }

    private static func sum(of elements: [GroupElement], _ weights: [Scalar]) -> GroupElement {
        var sum: GroupElement?
        for (element, weight) in zip(elements, weights) { sum = sum.map { $0 + weight * element } ?? weight * element }
        return sum ?? .generator
    }

    private static func challenge(
        shareKey: GroupElement, compositeInput: GroupElement, compositeOutput: GroupElement,
        first: GroupElement, second: GroupElement, mode: OPRF.Mode
    ) -> Scalar {
        let transcript =
            prefixed(shareKey.bytes) + prefixed(compositeInput.bytes) + prefixed(compositeOutput.bytes)
            + prefixed(first.bytes) + prefixed(second.bytes) + Array("Challenge".utf8)
        return OPRF.hashToScalar(transcript, tag: Array("HashToScalar-".utf8) + mode.contextString)
    }

    private static func prefixed(_ bytes: [UInt8]) -> [UInt8] { OPRF.twoBytes(bytes.count) + bytes }
}
