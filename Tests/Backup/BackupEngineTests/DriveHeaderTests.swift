import BackupEngine
import BackupFormat
import ByteCoding
import Foundation
import ObjectStores
import Primitives
import Testing

@Suite struct `The header in Google Drive` {
    typealias Script = ScriptedDrive
    static let gone = Script.error(404, "notFound")
    static let old = Script.file("A", [1], name: "coffer.json")
    static let new = Script.file("A", [2], name: "coffer.json")

    @Test func `is written over in place, and looked at again`() async throws {
        let drive = try Script([
            Script.files([Self.old]), Script.json(200, Self.old), Script.json(200, Self.new), Script.files([Self.new]),
            Script.json(200, Self.new),
        ])
        try await drive.store.replace(.header, [2])
        #expect(
            drive.asked == [
                "GET /drive/v3/files", "GET /drive/v3/files/A", "PATCH /upload/drive/v3/files/A", "GET /drive/v3/files",
                "GET /drive/v3/files/A",
            ])
        #expect(String(decoding: drive.notes.read() ?? [], as: UTF8.self).contains(#""header":"A""#))
    }

    @Test(arguments: [(404, "notFound"), (404, ""), (410, "")])
    func `is never made a second time for a file that is not found`(_ status: Int, _ reason: String) async throws {
        let stray = Script.error(status, reason)
        let there = Script.json(200, Self.old)
        // Once, and then it is there.
        let again = reason.isEmpty ? [stray] : [stray, there]
        let drive = try Script(
            [Script.files([Self.old]), there] + again + [
                Script.json(200, Self.new), Script.files([Self.new]), Script.json(200, Self.new),
            ])
        try await drive.store.replace(.header, [2])
        let never = try Script([Script.files([Self.old]), there] + (0..<9).flatMap { _ in [stray, there] })
        await #expect { try await never.store.replace(.header, [2]) } throws: { "\($0)".hasPrefix("failed") }
        // Drive says that it is gone, and lists have nothing.
        let lost = try Script(
            [Script.files([Self.old]), there, Self.gone, Self.gone, Script.folder] + (0..<9).map { _ in Script.none })
        await #expect { try await lost.store.replace(.header, [2]) } throws: { "\($0)".contains("nothing was written") }
        for drive in [drive, never, lost] { #expect(!drive.asked.contains { $0.hasPrefix("POST") }) }
    }

    @Test func `is written where it is the object for every device`() async throws {
        // Another device's is earlier, and comes to be seen late.
        let earlier = Script.file("E", [1], name: "coffer.json", created: "2026-11-22T09:00:00.000Z")
        let drive = try Script([
            Script.files([Self.old]), Script.json(200, Self.old), Script.json(200, Self.new),
            Script.files([Self.new, earlier]), Script.json(200, earlier),
            Script.json(200, earlier.replacing(Hex.encode(sha256([1])), with: Hex.encode(sha256([2])))),
            Script.files([Self.new, earlier]), Script.json(200, earlier),
        ])
        try await drive.store.replace(.header, [2])
        #expect(drive.asked.filter { $0.hasPrefix("PATCH") }.map(\.last) == ["A", "E"])
    }

    @Test func `is known by its id to a device that has read it, whatever lists say`() async throws {
        let reader = try Script([Script.files([Self.old]), Script.json(200, "abc")])
        _ = try await reader.store.read(.header)
        let notes = String(decoding: reader.notes.read() ?? [], as: UTF8.self)
        let later = try Script([Script.none, Script.json(200, Self.old), Script.json(200, "abc")], notes: notes)
        #expect(try await later.store.read(.header) == Array("abc".utf8))
        #expect(later.asked == ["GET /drive/v3/files", "GET /drive/v3/files/A", "GET /drive/v3/files/A"])
        let lost = try Script([Script.none, Self.gone, Script.none, Self.gone], notes: notes)
        await #expect(throws: ObjectStoreError.notFound("coffer.json")) { _ = try await lost.store.read(.header) }
    }
}
