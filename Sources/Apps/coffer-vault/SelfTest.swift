import ArgumentParser
import Foundation
import RecoveryProtocol

struct SelfTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "self-test",
        abstract: "Computes known answers, a line for each, and fails if one comes out otherwise.")

    @Option(
        parsing: .upToNextOption,
        help: "Files of vectors: RFC 9497's, or threshold ones. Without them: those that every start computes.")
    var vectors: [String] = []

    func run() throws {
        var verdicts: [KnownAnswerVerdict] = []
        if vectors.isEmpty { verdicts = try Self.short() }
        for path in vectors { verdicts += try Self.verdicts(Data(try PublicFile.read(path)), path: path) }
        for verdict in verdicts {
            Output.line(verdict.mismatch.map { "FAIL  \(verdict.name): \($0)" } ?? "ok    \(verdict.name)")
        }
        let failed = verdicts.count { !$0.agrees }
        guard failed == 0, !verdicts.isEmpty else {
            throw CommandFailure(.mismatch, "\(failed) of \(verdicts.count) known answers came out otherwise.")
        }
        Output.line("All \(verdicts.count) known answers agree.")
    }

    /// At every start: a machine or a build that computes wrongly must not give answers that look like wrong passwords.
    static func runShort() throws(CommandFailure) {
        guard let wrong = try short().first(where: { !$0.agrees }) else { return }
        throw CommandFailure(
            .mismatch,
            "This machine computes wrongly (\(wrong.name): \(wrong.mismatch ?? "")). The vault does not serve.")
    }

    private static func short() throws(CommandFailure) -> [KnownAnswerVerdict] {
        try verdicts(Data(embedded.utf8), path: "The program")
    }

    private enum Group: Decodable {
        case rfc9497(RFC9497Vectors)
        case threshold(ThresholdVectors)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let vectors = try? container.decode(RFC9497Vectors.self) {
                self = .rfc9497(vectors)
            } else {
                self = .threshold(try container.decode(ThresholdVectors.self))
            }
        }

        func run() -> [KnownAnswerVerdict] {
            switch self {
            case .rfc9497(let vectors): vectors.run()
            case .threshold(let vectors): [vectors.run()]
            }
        }
    }

    private static func verdicts(_ json: Data, path: String) throws(CommandFailure) -> [KnownAnswerVerdict] {
        do { return try JSONDecoder().decode([Group].self, from: json).flatMap { $0.run() } } catch {
            throw CommandFailure(.badFile, "\(path) does not hold vectors of RFC 9497 or of the threshold form.")
        }
    }

    /// RFC 9497 appendix A.1.2, test vector 1.
    private static let embedded = """
        [{"identifier": "ristretto255-SHA512", "mode": 1,
          "pkSm": "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e",
          "skSm": "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909",
          "vectors": [{"Batch": 1, "Input": "00",
            "Blind": "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
            "BlindedElement": "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "EvaluationElement": "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            "Output": "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee5bd0\
        3903af43a491351d23b430948dd50cde10d32b3c",
            "Proof": {
              "proof": "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117a2a1ff\
        0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
              "r": "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e"}}]}]
        """
}
