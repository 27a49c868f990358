import ByteCoding
import Crypt15
import Foundation
import Primitives
import Testing

@Suite struct `The root key` {
    @Test func `is read in every form that the vectors have, and in no other`() throws {
        let keys = try Vectors.keys()
        for (name, hex) in keys.read {
            let key = try RootKey.read(SecretBytes(copying: Hex.decode(hex))).key
            #expect(key.revealGroups().joined() == keys.root, "\(name)")
        }
        for (name, hex) in keys.refused {
            #expect(throws: RootKeyError.self, "\(name)") { try RootKey.read(SecretBytes(copying: Hex.decode(hex))) }
        }
        #expect(keys.read.count == 8 && keys.refused.count == 10)
    }

    private func refusal(_ bytes: [UInt8]) -> RootKeyError? {
        do throws(RootKeyError) {
            _ = try RootKey.read(SecretBytes(copying: bytes))
            return nil
        } catch { return error }
    }

    @Test func `that is refused is refused with its place or length, and no digit`() throws {
        let digits = try Vectors.keys().root
        #expect(refusal([]) == .empty)
        #expect(refusal(Array(digits.dropLast().utf8)) == .length(digits: 63))
        #expect(refusal(Array(digits.utf8) + Array(digits.utf8)) == .length(digits: 128))
        #expect(refusal(Array("0011 22x3".utf8)) == .character(group: 2, position: 3))
        #expect(refusal([UInt8](repeating: 0xff, count: 31)) == .character(group: 1, position: 1))
        #expect(refusal([0, 1, 2]) == .neitherTextNorKey(bytes: 3))
        let older = try Hex.decode(try #require(Vectors.keys().refused["crypt14's key file"]))
        #expect(refusal(older) == .olderKeyFile)
        #expect(refusal(Array(try Vectors.bytes("encrypted_backup.key").dropLast())) == .otherJavaFile(bytes: 58))
    }

    @Test func `is written as the file that a phone keeps`() throws {
        let (key, form) = try RootKey.read(SecretBytes(copying: Vectors.bytes("encrypted_backup.key")))
        #expect(form == .keyFile)
        #expect(key.keyFile().isEqual(to: SecretBytes(copying: try Vectors.bytes("encrypted_backup.key"))))
    }

    @Test func `derives the keys that were published`() throws {
        let text = Array("6730a595a1484d0c39c101dc0ac82ec5e401bb6f0e1b8ee2dc104a6b3687f017".utf8)
        let key = try RootKey.read(SecretBytes(copying: text)).key
        for (derived, hex) in [
            (key.backupKey(), "17ec312152f6f84fd13a3ec6b9c9279aac60bb84405f0685d1fae27293757bc7"),
            (key.metadataKey(), "7cbf5f4dbaf010dffc38d760b98900b5ee5086a40308f28abdfa775c52fabe69"),
            (key.metadataMACKey(), "9225f36527dd531ecfa5fc1f2795382f6765308bfc9b31affd222844d7b45bad"),
        ] {
            let published = SecretBytes(copying: try Hex.decode(hex))
            #expect(derived.isEqual(to: published))
        }
    }
}

@Suite struct `A media file` {
    private static let fileName = "14769C0E73FA2C330FA82A0B61ABBA0CD13E66BDE221A6C9C569499F381E45BD.mcrypt1"

    private func open(_ bytes: [UInt8], name: MediaName, key: RootKey, pieces: Int = 1_000) throws
        -> (verdict: Verdict, contentMD5: [UInt8], content: [UInt8])
    {
        let reader = try MediaReader(name: name, key: key)
        var content: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { piece in
                reader.feed(piece) { content += $0 }
            }
        }
        let (verdict, md5) = reader.finish()
        return (verdict, md5, content)
    }

    @Test func `opens by its name alone, and path and content make that name`() throws {
        let key = try Vectors.rootKey()
        let name = try #require(MediaName(fileName: Self.fileName))
        #expect(name.fileName == Self.fileName)
        let bytes = try Vectors.bytes("Media/" + Self.fileName)
        for pieces in [1, 15, 16, 17, 5_000, 100_000] {
            let (verdict, md5, content) = try open(bytes, name: name, key: key, pieces: pieces)
            #expect(verdict == .ok)
            #expect(
                Hex.encode(sha256(content)) == "a981a760cd33f6cab4d8228df7f0015ce3bba16fcf13982c6275c384f7c92cab")
            let path = "Media/WhatsApp Images/IMG-20260101-WA0001.jpg"
            #expect(MediaName(path: path, contentMD5: md5, key: key) == name)
        }
    }

    @Test func `under another name or key, or damaged or cut, does not`() throws {
        let key = try Vectors.rootKey()
        let name = try #require(MediaName(fileName: Self.fileName))
        let bytes = try Vectors.bytes("Media/" + Self.fileName)
        let other = try #require(MediaName(fileName: "15" + Self.fileName.dropFirst(2)))
        #expect(try open(bytes, name: other, key: key).verdict == .damagedOrWrongKey)
        #expect(try open(bytes, name: name, key: Vectors.wrongKey()).verdict == .damagedOrWrongKey)
        #expect(try open(bytes.dropLast(), name: name, key: key).verdict == .damagedOrWrongKey)
        #expect(try open(Array(bytes[..<15]), name: name, key: key).verdict == .truncated)
        var bent = bytes
        bent[5_000] ^= 1
        #expect(try open(bent, name: name, key: key).verdict == .damagedOrWrongKey)
        for wrong in ["x.mcrypt1", "14.mcrypt1", Self.fileName + ".jpg", "", "\(Self.fileName.dropLast(9)).mcrypt1"] {
            #expect(MediaName(fileName: wrong) == nil)
        }
    }

    @Test func `has metadata that is opened once its MAC is verified`() throws {
        let key = try Vectors.rootKey()
        let text = try Vectors.bytes("Media/" + Self.fileName + "-metadata")
        let json = String(decoding: try DriveMetadata.open(text, key: key), as: UTF8.self)
        #expect(json.contains("\"Media/WhatsApp Images/IMG-20260101-WA0001.jpg\""))
        #expect(throws: DriveMetadata.Refusal.damagedOrWrongKey) {
            try DriveMetadata.open(text, key: Vectors.wrongKey())
        }
        let trimmed = text.filter { $0 != UInt8(ascii: "=") } + Array("\r\n".utf8)
        #expect(try DriveMetadata.open(trimmed, key: key) == Array(json.utf8))
        #expect(throws: DriveMetadata.Refusal.notMetadata) { try DriveMetadata.open([], key: key) }
        for place in text.indices where text[place] != UInt8(ascii: "=") {
            var bent = text
            bent[place] ^= 1
            #expect(throws: DriveMetadata.Refusal.self) { try DriveMetadata.open(bent, key: key) }
            #expect(throws: DriveMetadata.Refusal.self) { try DriveMetadata.open(Array(text[..<place]), key: key) }
        }
    }
}
