import BackupFormat
import ByteCoding
import Foundation
import Primitives
import TestSupport
import Testing

private func read(_ groups: [UInt16]) throws(BackupKeyError) -> BackupKey {
    let text = groups.map { Hex.encode([UInt8($0 >> 8), UInt8($0 & 0xff)]) }.joined(separator: " ")
    return try BackupKey(digits: SecretBytes(copying: text.utf8))
}

private func groups(_ key: BackupKey) -> [UInt16] { key.revealGroups().compactMap { UInt16($0, radix: 16) } }

/// What reading groups says; nil if they are sound.
private func refusal(_ groups: [UInt16]) -> BackupKeyError? {
    do {
        _ = try read(groups)
        return nil
    } catch { return error }
}

@Suite struct `The written key` {
    private struct Vectors: Decodable {
        struct Key: Decodable { let key, written: String }
        struct Typed: Decodable {
            let text: String
            let mistyped, swapped, leftOut: Int?
            let positions: [Int]?
            let sound, several: Bool?
        }

        let keys: [Key]
        let typed: [Typed]
    }

    private static let vectors = Result {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let file = root.appending(path: "Specs/vectors/backup/written-key.json")
        return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file))
    }

    @Test func `has the check groups that an independent program computes from the specification`() throws {
        let keys = try Self.vectors.get().keys
        #expect(keys.count == 12)
        for vector in keys {
            let key = try BackupKey(secret: SecretBytes(copying: try Hex.decode(vector.key)))
            #expect(key.revealGroups().joined(separator: " ") == vector.written)
            #expect(key.revealDigits() == vector.key)
            for text in [vector.key, vector.written, vector.written.uppercased().replacing(" ", with: "-")] {
                #expect(try BackupKey(digits: SecretBytes(copying: text.utf8)).secret.isEqual(to: key.secret))
            }
        }
    }

    @Test func `is judged as that program judges it`() throws {
        let typed = try Self.vectors.get().typed
        #expect(typed.count == 33)
        for vector in typed {
            let expected: BackupKeyError? =
                if let group = vector.mistyped {
                    .mistyped(group: group, positions: vector.positions ?? [])
                } else if let first = vector.swapped {
                    .swapped(firstGroup: first)
                } else if let group = vector.leftOut {
                    .leftOut(group: group)
                } else {
                    vector.several == true ? .severalGroups : nil
                }
            #expect(vector.sound == true || expected != nil)
            #expect(refusal(vector.text.split(separator: " ").compactMap { UInt16($0, radix: 16) }) == expected)
        }
    }

    @Test func `every wrong group is located, whatever stands there`() throws {
        var generator = SeededGenerator(seed: 1601)
        for _ in 0..<40 {
            let right = groups(.random(using: &generator))
            for place in right.indices {
                var typed = right
                let change = UInt16.random(in: 1...0xffff, using: &generator)
                typed[place] ^= change
                let positions = (1...4).filter { change >> (16 - 4 * $0) & 0xf != 0 }
                #expect(refusal(typed) == .mistyped(group: place + 1, positions: positions))
            }
        }
    }

    @Test func `two neighbouring digits that changed places are located`() throws {
        var generator = SeededGenerator(seed: 1602)
        for _ in 0..<40 {
            let right = groups(.random(using: &generator))
            for place in right.indices {
                for shift in [0, 4, 8] {
                    var typed = right
                    let (low, high) = (right[place] >> shift & 0xf, right[place] >> (shift + 4) & 0xf)
                    typed[place] ^= (low ^ high) << shift | (low ^ high) << (shift + 4)
                    let positions = [3 - shift / 4, 4 - shift / 4]
                    #expect(refusal(typed) == (low == high ? nil : .mistyped(group: place + 1, positions: positions)))
                }
            }
        }
    }

    @Test func `every two wrong groups are noticed, and seldom taken for one`() throws {
        var generator = SeededGenerator(seed: 1603)
        let right = groups(.random(using: &generator))
        var takenForOne = 0
        for _ in 0..<20_000 {
            var typed = right
            let places = right.indices.shuffled(using: &generator).prefix(2)
            for place in places { typed[place] ^= UInt16.random(in: 1...0xffff, using: &generator) }
            let refusal = refusal(typed)
            #expect(refusal != nil)
            if case .mistyped = refusal { takenForOne += 1 }
        }
        #expect((1...15).contains(takenForOne))
    }

    @Test func `two groups that changed places are noticed, and named if they are neighbours`() throws {
        var generator = SeededGenerator(seed: 1604)
        for _ in 0..<20 {
            let right = groups(.random(using: &generator))
            for first in right.indices {
                for second in right.indices where first < second && right[first] != right[second] {
                    var typed = right
                    typed.swapAt(first, second)
                    let expected: BackupKeyError =
                        second == first + 1 ? .swapped(firstGroup: first + 1) : .severalGroups
                    #expect(refusal(typed) == expected)
                }
            }
        }
    }

    @Test func `a group that was left out is located`() throws {
        var generator = SeededGenerator(seed: 1605)
        for _ in 0..<40 {
            let right = groups(.random(using: &generator))
            for place in right.indices {
                var typed = right
                typed.remove(at: place)
                // A group equal to its neighbour may have been left out at either place: then the length is told.
                #expect(refusal(typed) == .leftOut(group: place + 1))
            }
        }
        #expect(refusal([UInt16](repeating: 0, count: 17)) == .length(digits: 68))
    }
}
