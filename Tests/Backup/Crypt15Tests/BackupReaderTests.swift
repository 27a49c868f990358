import ByteCoding
import Crypt15
import Foundation
import Primitives
import Testing

@Suite struct `A crypt15 file` {
    @Test func `gets the verdict of its vector, under the right key and under another`() throws {
        let key = try Vectors.rootKey()
        let wrong = try Vectors.wrongKey()
        let files = try Vectors.files()
        #expect(files.count == 35)
        for (name, file) in files {
            let bytes = try Vectors.bytes(name)
            let (reading, content) = try read(bytes, key)
            #expect(reading.verdict.rawValue == file.verdict, "\(name)")
            #expect(reading.problem.map(words) == file.problem, "\(name)")
            if reading.isWhole {
                if let digest = file.plainSha256 { #expect(digest == Hex.encode(sha256(content)), "\(name)") }
                if let kind = file.content { #expect(reading.content.rawValue == kind, "\(name)") }
            }
            let other = try read(bytes, wrong).reading
            #expect(other.verdict.rawValue == file.verdictWrongKey, "\(name)")
            #expect(!other.keyFits, "\(name)")
        }
    }

    private func words(_ problem: ContentProblem) -> String {
        switch problem {
        case .damaged: "damaged"
        case .cut: "cut"
        case .bytesBehind: "bytes-behind"
        case .tooLarge: "too-large"
        }
    }

    @Test func `reads the same in pieces of any size`() throws {
        let key = try Vectors.rootKey()
        for (name, _) in try Vectors.files() where !name.contains("bomb") {
            let bytes = try Vectors.bytes(name)
            let whole = try read(bytes, key)
            for pieces in [[1], [3, 1, 40], [31], [32, 33], [17]] {
                let other = try read(bytes, key, pieces: pieces)
                #expect(other.reading.verdict == whole.reading.verdict, "\(name) \(pieces)")
                #expect(other.reading.problem == whole.reading.problem, "\(name) \(pieces)")
                if whole.reading.isWhole { #expect(other.content == whole.content, "\(name) \(pieces)") }
            }
        }
    }

    /// Only what the tag proves counts as content; the rest of the file can be changed by anyone, and is told so.
    @Test func `with any single bit flipped is noticed, and the content is proven or refused`() throws {
        let key = try Vectors.rootKey()
        let bytes = try Vectors.bytes("c-2026-msgstore.db.crypt15")
        let headerBytes = try #require(header(of: bytes)).bytes.count
        let nonce = try #require(header(of: bytes)).nonceRange
        let plain = try read(bytes, key).content
        for place in bytes.indices {
            for bit in 0..<8 {
                var bent = bytes
                bent[place] ^= 1 << bit
                let (reading, content) = try read(bent, key)
                #expect(reading.verdict != .ok && reading.verdict != .okNoTrailer)
                let isOutside = place < headerBytes && !nonce.contains(place) || place >= bytes.count - 16
                if !isOutside { #expect(!reading.verdict.isProven, "\(place).\(bit)") }
                if reading.verdict.isProven { #expect(reading.isWhole && content == plain) }
                if place >= bytes.count - 16 { #expect(reading.verdict == .okPayloadHeaderOrTrailerAltered) }
            }
        }
    }

    @Test func `cut at any byte is called cut, or is what a file without a trailer is`() throws {
        let key = try Vectors.rootKey()
        let bytes = try Vectors.bytes("c-2026-msgstore.db.crypt15")
        let plain = try read(bytes, key).content
        for count in 0..<bytes.count {
            let (reading, content) = try read(Array(bytes[..<count]), key)
            switch count {
            case 0...2: #expect(reading.verdict == .notABackup, "\(count)")
            case bytes.count - 16: #expect(reading.verdict == .okNoTrailer && content == plain)
            default: #expect(reading.verdict == .truncated, "\(count)")
            }
        }
    }

    @Test func `cut at any byte opens with another key to nothing`() throws {
        let wrong = try Vectors.wrongKey()
        let bytes = try Vectors.bytes("e-minimal.crypt15")
        for count in 0..<bytes.count {
            #expect(!(try read(Array(bytes[..<count]), wrong).reading.verdict.isProven))
        }
    }

    @Test func `whose content is cut, longer or a bomb is proven and refused`() throws {
        let key = try Vectors.rootKey()
        #expect(try read(Vectors.bytes("neg-behind-stream.crypt15"), key).reading.problem == .bytesBehind(4))
        let bomb = try Vectors.bytes("neg-bomb.crypt15")
        let (reading, content) = try read(bomb, key, bytesMax: 1 << 20)
        #expect(reading.verdict == .ok && reading.problem == .tooLarge(limit: 1 << 20))
        #expect(content.count <= 1 << 20)
        let whole = try read(bomb, key)
        #expect(whole.reading.isWhole && whole.content.count == 4 << 20)
        #expect(whole.content.count <= 1_032 * bomb.count)
    }

    /// Found by bending: after damage ISA-L counts bytes that it was not given, and at the end it gives back some of earlier pieces.
    @Test func `whose stream is damaged or followed at any place says the same in pieces of any size`() throws {
        let stream = deflated(try Vectors.bytes("tiny.db"))
        func outcome(_ bytes: [UInt8], pieces: Int) throws -> (bytes: UInt64, state: Inflate.State, behind: Int) {
            let inflate = try Inflate()
            var target = [UInt8](repeating: 0, count: 1 << 16)
            var written = 0
            var taken = 0
            for start in stride(from: 0, to: bytes.count, by: min(pieces, bytes.count)) where inflate.state == .goesOn {
                let counts = target.withUnsafeMutableBytes { target in
                    bytes[start..<min(start + min(pieces, bytes.count), bytes.count)].withUnsafeBytes {
                        inflate.inflate($0, into: target)
                    }
                }
                #expect((0...pieces).contains(counts.taken) && (0...target.count).contains(counts.written))
                taken += counts.taken
                written += counts.written
            }
            return (UInt64(written), inflate.state, bytes.count - taken + inflate.bytesTakenBehind)
        }
        for place in stream.indices {
            for bit in 0..<8 {
                var bent = stream
                bent[place] ^= 1 << bit
                let whole = try outcome(bent, pieces: .max)
                for pieces in [1, 16] {
                    #expect(try outcome(bent, pieces: pieces).state == whole.state, "\(place).\(bit)")
                }
            }
        }
        for behind in 0...40 {
            for pieces in [1, 3, 16, 1_000] {
                let found = try outcome(stream + [UInt8](repeating: 7, count: behind), pieces: pieces)
                #expect(found.state == .ended && found.bytes == 8_192 && found.behind == behind, "\(behind) \(pieces)")
            }
        }
    }

    private func deflated(_ bytes: [UInt8]) -> [UInt8] {
        let deflate = Deflate(level: 9)
        var stream: [UInt8] = []
        bytes.withUnsafeBytes { bytes in deflate.deflate(bytes) { stream += $0 } }
        deflate.finish { stream += $0 }
        return stream
    }

    @Test func `tells how much follows its end`() throws {
        let key = try Vectors.rootKey()
        let behind = try read(Vectors.bytes("neg-behind-file.crypt15"), key).reading
        #expect(behind.keyFits && behind.bytesBehind == 4)
        let files = try Vectors.bytes("neg-two-files.crypt15")
        let two = try read(files, key).reading
        #expect(two.keyFits && two.bytesBehind == UInt64(files.count / 2))
    }

    @Test func `that is damaged says that the key fits, if its head opens`() throws {
        var bytes = try Vectors.bytes("c-2026-msgstore.db.crypt15")
        bytes[bytes.count - 60] ^= 1
        #expect(try read(bytes, Vectors.rootKey()).reading.verdict == .damagedOrWrongKey)
        #expect(try read(bytes, Vectors.rootKey()).reading.keyFits)
        #expect(!(try read(bytes, Vectors.wrongKey()).reading.keyFits))
    }

    @Test func `is probed by its head`() throws {
        for name in ["a-2022-msgstore.db.crypt15", "f-passkey.crypt15", "neg-cut.crypt15", "h-increment.crypt15"] {
            let probe = try #require(HeadProbe(start: Vectors.bytes(name)))
            #expect(try probe.fits(Vectors.rootKey()))
            #expect(!(try probe.fits(Vectors.wrongKey())))
        }
        #expect(HeadProbe(start: try Vectors.bytes("old-crypt14.crypt15")) == nil)
    }

    @Test func `that is sealed opens to its content, with the header of the other and a new nonce`() throws {
        let key = try Vectors.rootKey()
        let database = try Vectors.bytes("tiny.db")
        for name in ["a-2022-msgstore.db.crypt15", "c-2026-msgstore.db.crypt15", "f-passkey.crypt15"] {
            let reference = try #require(header(of: Vectors.bytes(name)))
            for level in 1...9 {
                let file = try seal(database, key, like: reference, level: level, seed: UInt64(level))
                let sealed = try #require(header(of: file))
                #expect(sealed.nonce != reference.nonce)
                #expect(sealed.withNonce(reference.nonce) == reference.bytes)
                let (reading, content) = try read(file, key)
                #expect(reading.verdict == .ok && reading.isWhole && content == database)
                #expect(reading.zlibHead?.first == 0x78)
            }
        }
    }

    @Test func `that would be too long for its nonce is not written on, and is none`() throws {
        let reference = try #require(header(of: Vectors.bytes("e-minimal.crypt15")))
        var generator = SystemRandomNumberGenerator()
        let writer = try BackupWriter(
            key: Vectors.rootKey(), like: reference, level: 1, using: &generator, payloadBytesMax: 100_000)
        let content = generator.bytes(300_000)
        var file: [UInt8] = []
        content.withUnsafeBytes { content in writer.feed(content) { file += $0 } }
        #expect(writer.isTooLong && file.count <= 100_000)
        #expect(!writer.finish { file += $0 } && file.count <= 100_000)
    }

    @Test func `that was changed under a fresh checksum says that the key fits`() throws {
        var bytes = try Vectors.bytes("c-2026-msgstore.db.crypt15")
        bytes[bytes.count - 60] ^= 1
        var md5 = MD5()
        md5.update(Array(bytes.dropLast(16)))
        bytes.replaceSubrange((bytes.count - 16)..., with: md5.digest())
        let reading = try read(bytes, Vectors.rootKey()).reading
        #expect(reading.verdict == .wrongKey && reading.keyFits && !reading.isWhole)
        #expect(!(try read(bytes, Vectors.wrongKey()).reading.keyFits))
    }

    @Test func `without a version in its header claims none`() throws {
        let message: [UInt8] = [0x1a, 18, 0x0a, 16] + [UInt8](repeating: 9, count: 16) + [0x22, 2, 0x0a, 0]
        let read = try #require(header(of: [UInt8(message.count)] + message))
        #expect(read.claims.appVersion == nil)
    }

    @Test func `of many megabytes is sealed and read in pieces`() throws {
        let key = try Vectors.rootKey()
        let reference = try #require(header(of: Vectors.bytes("e-minimal.crypt15")))
        var content = Array("SQLite format 3\0".utf8)
        for number in 0..<400_000 {
            content += [UInt8(number & 0xff), UInt8(number >> 8 & 0xff), UInt8(number >> 16), 7]
        }
        let file = try seal(content, key, like: reference, level: 1)
        let back = try read(file, key, pieces: [70_000, 1, 65_536, 31])
        #expect(back.reading.verdict == .ok && back.content == content)
    }
}
