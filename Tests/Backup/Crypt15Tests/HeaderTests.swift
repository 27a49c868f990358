import Crypt15
import Foundation
import Testing

@Suite struct `The header of a crypt15 file` {
    @Test func `says what it claims, and keeps every byte`() throws {
        let bytes = try Vectors.bytes("a-2022-msgstore.db.crypt15")
        let claimed = try #require(header(of: bytes))
        #expect(claimed.bytes == Array(bytes[..<131]))
        #expect(claimed.claims.appVersion == "2.22.5.13")
        #expect(claimed.claims.backupVersion == 0 && claimed.claims.keyType == nil)
        let newer = try #require(header(of: Vectors.bytes("c-2026-msgstore.db.crypt15")))
        #expect(newer.claims.keyType == .digits)
        let passkey = try #require(header(of: Vectors.bytes("f-passkey.crypt15")))
        #expect(passkey.bytes.count > 500 && passkey.claims.hasPasskey)
        let nonce = [UInt8](0..<16)
        #expect(header(of: passkey.withNonce(nonce))?.nonce == nonce)
    }

    @Test func `with two nonces has the last one, and says that there are two`() throws {
        let repeated = try #require(header(of: Vectors.bytes("k-repeated.crypt15")))
        #expect(repeated.nonceCount == 2)
        #expect(repeated.nonceRange.upperBound == repeated.bytes.count)
    }

    @Test func `that is none says why`() throws {
        #expect(BackupHeader.read(try Vectors.bytes("neg-length-0.crypt15")) == .notABackup(.headerLength))
        #expect(BackupHeader.read(try Vectors.bytes("neg-length-65537.crypt15")) == .notABackup(.headerLength))
        #expect(BackupHeader.read(try Vectors.bytes("neg-length-2-63.crypt15")) == .notABackup(.headerLength))
        #expect(BackupHeader.read(try Vectors.bytes("neg-nested.crypt15")) == .notABackup(.noNonce))
        #expect(BackupHeader.read(try Vectors.bytes("neg-group.crypt15")) == .notABackup(.headerFields))
        #expect(BackupHeader.read(try Vectors.bytes("neg-short-nonce.crypt15")) == .notABackup(.noNonce))
        #expect(BackupHeader.read(try Vectors.bytes("neg-database.crypt15")) == .notABackup(.otherFile(.sqlite)))
        #expect(BackupHeader.read(try Vectors.bytes("old-crypt14.crypt15")) == .older(.crypt14))
        #expect(BackupHeader.read(try Vectors.bytes("old-crypt12.crypt12")) == .older(.crypt12))
    }

    @Test func `does not obey what a stranger wrote in it`() throws {
        let version = Array("\u{1b}[2J\u{202e}2".utf8)
        let metadata = [0x0a, UInt8(version.count)] + version
        let message = [0x1a, 0x12, 0x0a, 0x10] + [UInt8](0..<16) + [0x22, UInt8(metadata.count)] + metadata
        let claims = try #require(header(of: [UInt8(message.count)] + message)).claims
        #expect(claims.appVersion == "\\u{1b}[2J\\u{202e}2")
    }

    @Test func `of the largest length that is allowed is read`() throws {
        let filler = [UInt8](repeating: 7, count: 65_536 - 20 - 4 - 1)
        let message =
            [0x1a, 0x12, 0x0a, 0x10] + [UInt8](0..<16) + [0xba, 0x06]
            + [UInt8(filler.count & 0x7f) | 0x80, UInt8(filler.count >> 7 & 0x7f) | 0x80, UInt8(filler.count >> 14)]
            + filler
        #expect(message.count == 65_536)
        let bytes = [0x80, 0x80, 0x04] + message
        #expect(header(of: bytes)?.bytes == bytes)
        let (reading, _) = try read(bytes + [UInt8](repeating: 0, count: 40), Vectors.rootKey(), pieces: [1_000])
        #expect(reading.verdict == .damagedOrWrongKey)
    }
}
