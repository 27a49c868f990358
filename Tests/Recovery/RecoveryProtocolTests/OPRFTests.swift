import ByteCoding
import Foundation
import Primitives
import RecoveryProtocol
import TestSupport
import Testing

/// Specs/vectors/recovery/<name>
func vectorFile(_ name: String) throws -> Data {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return try Data(contentsOf: root.appending(path: "Specs/vectors/recovery/\(name)"))
}

@Suite struct `Known answers` {
    @Test func `RFC 9497, all three modes`() throws {
        let suites = try JSONDecoder().decode([RFC9497Vectors].self, from: vectorFile("rfc9497-ristretto255.json"))
        let verdicts = suites.flatMap { $0.run() }
        #expect(verdicts.count == 8)
        for verdict in verdicts {
            #expect(verdict.agrees, "\(verdict.name): \(verdict.mismatch ?? "")")
        }
    }

    @Test func `threshold VOPRF: every t-subset gives the output, t−1 do not`() throws {
        let cases = try JSONDecoder().decode([ThresholdVectors].self, from: vectorFile("threshold-voprf.json"))
        #expect(cases.count >= 6)
        for verdict in cases.map({ $0.run() }) {
            #expect(verdict.agrees, "\(verdict.name): \(verdict.mismatch ?? "")")
        }
    }

    @Test func `an altered vector is noticed`() throws {
        var text = String(decoding: try vectorFile("threshold-voprf.json"), as: UTF8.self)
        text = text.replacing("29febe00dcc03b39", with: "39febe00dcc03b39")
        let cases = try JSONDecoder().decode([ThresholdVectors].self, from: Data(text.utf8))
        #expect(cases[0].run().mismatch == "output")
        #expect(cases[1].run().agrees)
    }
}

@Suite struct `Proofs` {
    @Test func `a proof stands for its own share, input and output alone`() throws {
        var samples = Samples(seed: 11)
        let share = Scalar.random(using: &samples.generator)
        let blinded = samples.element()
        let made = Evaluation(of: blinded, share: share, using: &samples.generator)
        func isValid(
            _ proof: EvaluationProof, key: GroupElement, input: GroupElement, output: GroupElement
        ) -> Bool { DLEQ.isValid(proof, shareKey: key, inputs: [input], outputs: [output]) }
        #expect(isValid(made.proof, key: made.shareKey, input: blinded, output: made.element))
        let other = samples.element()
        #expect(!isValid(made.proof, key: other, input: blinded, output: made.element))
        #expect(!isValid(made.proof, key: made.shareKey, input: other, output: made.element))
        #expect(!isValid(made.proof, key: made.shareKey, input: blinded, output: other))
        for position in stride(from: 0, to: 64, by: 3) {
            var altered = made.proof.bytes
            altered[position] ^= 1
            let proof = try EvaluationProof(altered)
            #expect(!isValid(proof, key: made.shareKey, input: blinded, output: made.element))
        }
    }

    @Test func `proofs with scalars that are zero or not canonical are refused`() throws {
        var samples = Samples(seed: 12)
        let made = Evaluation(
            of: samples.element(), share: .random(using: &samples.generator), using: &samples.generator)
        let half = Array(made.proof.bytes.prefix(32))
        for bad in [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32)] {
            for bytes in [half + bad, bad + half] {
                let proof = try EvaluationProof(bytes)
                #expect(
                    !DLEQ.isValid(proof, shareKey: made.shareKey, inputs: [made.element], outputs: [made.element]))
            }
        }
    }

    /// The same random bytes, as after a rollback of a virtual machine, must not lead to the same nonce for another
    /// challenge: two proofs with one nonce give the share away.
    @Test func `a repeated random source does not repeat the nonce`() throws {
        var samples = Samples(seed: 13)
        let share = Scalar.random(using: &samples.generator)
        let (first, second) = (samples.element(), samples.element())
        var (one, two) = (SeededGenerator(seed: 1), SeededGenerator(seed: 1))
        let a = Evaluation(of: first, share: share, using: &one)
        let b = Evaluation(of: second, share: share, using: &two)
        // s = r − c·k, so equal nonces would make s_a + c_a·k equal s_b + c_b·k.
        func nonce(_ proof: EvaluationProof) throws -> Scalar {
            try Scalar(copying: Array(proof.bytes.suffix(32))) + Scalar(copying: Array(proof.bytes.prefix(32))) * share
        }
        #expect(try nonce(a.proof) != nonce(b.proof))
    }
}

@Suite struct `Shares` {
    @Test(arguments: [1, 3, 5, 7])
    func `every t-subset gives the secret, t−1 do not`(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let threshold = (count + 1) / 2
        let coefficients = (0..<threshold).map { _ in Scalar.random(using: &generator) }
        let shares = SecretSharing.split(coefficients: coefficients, indices: (1...UInt8(count)).map { $0 * 17 })
        for subset in subsets(of: shares, count: threshold) {
            #expect(SecretSharing.interpolate(subset) == coefficients[0])
        }
        for subset in subsets(of: shares, count: threshold - 1) where !subset.isEmpty {
            #expect(SecretSharing.interpolate(subset) != coefficients[0])
        }
        #expect(SecretSharing.isConsistent(shares, threshold: threshold, secret: coefficients[0]))
    }

    @Test func `one wrong share among many is noticed before anything is sent`() throws {
        var generator = SeededGenerator(seed: 14)
        let coefficients = (0..<3).map { _ in Scalar.random(using: &generator) }
        let shares = SecretSharing.split(coefficients: coefficients, indices: [1, 2, 3, 4, 5])
        for position in shares.indices {
            var wrong = shares
            wrong[position] = SecretShare(index: shares[position].index, value: shares[position].value + .one)
            #expect(!SecretSharing.isConsistent(wrong, threshold: 3, secret: coefficients[0]))
        }
        #expect(!SecretSharing.isConsistent(shares, threshold: 3, secret: coefficients[0] + .one))
    }

    @Test func `an index that stands twice gives nothing`() {
        #expect(SecretSharing.lagrangeCoefficients([1, 2, 1]) == nil)
        #expect(SecretSharing.interpolate([]) == nil)
    }
}
