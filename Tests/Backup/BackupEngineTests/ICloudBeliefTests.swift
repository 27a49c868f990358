import BackupEngine
import BackupFormat
import ByteCoding
import ObjectStores
import TestSupport
import Testing

/// Which of the two hosts is believed what: a mistake here condemns whole packs, or takes an object for deleted.
@Suite struct `What iCloud says of an object` {
    typealias Script = ScriptedICloud

    @Test func `believes that something is not there of the record alone that it asked about`() async throws {
        let missing = try #require(
            CloudKitErrors.failure(Script.recordError("NOT_FOUND").get(), of: Script.recordName))
        #expect(missing.kind == .missing)
        for answer in [
            Script.error("NOT_FOUND", 404), Script.json(#"{"records": [{"serverErrorCode": "NOT_FOUND"}]}"#),
            Script.json(#"{"records": [{"recordName": "other", "serverErrorCode": "NOT_FOUND"}]}"#),
            Script.json(#"{"zones": [{"zoneID": {"zoneName": "Z"}, "serverErrorCode": "NOT_FOUND"}]}"#, 404),
        ] {
            for body: @Sendable (CloudKitStore) async throws -> Void in [
                { _ = try await $0.read(Script.name) }, { _ = try await $0.read(Script.name, 0..<1) },
                { _ = try await $0.size(of: Script.name) }, { try await $0.delete(Script.name) },
                { try await $0.create(Script.name, [1]) }, { try await $0.replace(Script.name, [1]) },
                { _ = try await $0.list(.index) },
            ] {
                let script = try Script([answer])
                guard case .failed? = await script.failure({ try await body(script.store) }) else {
                    Issue.record("something is said not to be there, or to be deleted")
                    continue
                }
            }
        }
        let taken = try Script([Script.recordError("EXISTS"), Script.recordError("NOT_FOUND")])
        guard case .failed? = await taken.failure({ try await taken.store.create(Script.name, [1]) }) else {
            Issue.record("not failed")
            return
        }
        let gone = try Script([Script.recordError("NOT_FOUND")])
        try await gone.store.delete(Script.name)
    }

    @Test(arguments: [
        StoreAnswer(status: 200, body: [UInt8](repeating: 60, count: 100)),
        StoreAnswer(status: 200, body: [UInt8](repeating: 60, count: 64)), StoreAnswer(status: 200),
        StoreAnswer(status: 200, body: [UInt8](repeating: 60, count: 600_001)), StoreAnswer(status: 204),
        StoreAnswer(status: 206, body: [UInt8](repeating: 60, count: 64)),
        StoreAnswer(
            status: 206, headers: [("Content-Range", "bytes 0-63/64")], body: [UInt8](repeating: 60, count: 64)),
        StoreAnswer(
            status: 206, headers: [("Content-Range", "bytes 0-99/600000")], body: [UInt8](repeating: 60, count: 100)),
        StoreAnswer(status: 416, headers: [("Content-Range", "bytes */64")]), StoreAnswer(status: 302),
    ])
    func `believes of an object's bytes what its record says, and nothing of the host that keeps them`(
        _ answer: StoreAnswer
    ) async throws {
        for range in [0..<64, 0..<600_000] {
            let record = Script.record(#""size": {"value": 600000}, "part1": \#(Script.asset(600_000))"#)
            let script = try Script((0..<3).map { _ in record }, assets: (0..<20).map { _ in .success(answer) })
            let failure = await script.failure({ _ = try await script.store.read(Script.name, range) })
            guard case .failed? = failure else {
                Issue.record("\(range): \(String(describing: failure))")
                continue
            }
        }
    }

    @Test func `loses no pack to repair when the host of assets has none of them`() async throws {
        let server = try ICloudServer()
        let store = try server.store("repair")
        let wing = try await Wing(store)
        try await wing.backUp(MemorySource(["a": noise(2_000_000, seed: 1)]))
        let before = try await server.records().compactMap { $0["recordName"] as? String }.sorted()
        try await server.control("faults", #"[{"operation": "assets.download", "status": 416, "times": null}]"#)
        let opened = try await wing.open()
        await #expect(throws: (any Error).self) {
            _ = try await Repair.run(
                opened, key: wing.key, options: Repair.Options(isTrial: false), now: Wing.now,
                generator: SystemRandomNumberGenerator(), report: { _ in })
        }
        #expect(try await server.records().compactMap { $0["recordName"] as? String }.sorted() == before)
    }

    @Test func `asks for another place where the first may have taken the bytes, whatever it then says`() async throws {
        let content = [UInt8](repeating: 7, count: 600_000)
        for status in [400, 409, 412] {
            let script = try Script(
                [Script.place(), Script.place(), Script.done],
                assets: [
                    .failure(.broken("it broke")), .success(StoreAnswer(status: status)), Script.receipt(content.count),
                ])
            try await script.store.create(Script.name, content)
            #expect(script.asked == ["assets/upload", "assets/upload", "records/modify"])
        }
    }

    @Test func `lists its own beside records of other programs, whatever these hold`() async throws {
        for value in ["3.5", "[1]", #"{"recordName": "x", "action": "NONE"}"#, #"{"latitude": 1}"#, "true", "null"] {
            let records =
                #"{"recordName": "other", "fields": {"size": {"value": \#(value), "type": "X"}}}, "#
                + #"{"recordName": "\#(Script.recordName)", "fields": {"size": {"value": 1}}}"#
            let script = try Script([
                Script.json(#"{"records": [\#(records)], "syncToken": "a", "moreComing": false}"#)
            ])
            #expect(try await script.store.list(.index) == [Script.name], "\(value)")
        }
    }

    @Test func `takes no asset that is shorter or longer than its record says`() async throws {
        let record = Script.record(#""size": {"value": 5}, "part1": \#(Script.asset(3)), "part2": \#(Script.asset(2))"#)
        func read(_ first: [UInt8], _ second: [UInt8]) async throws -> [UInt8] {
            let script = try Script(
                [record],
                assets: [first, second].map { .success(StoreAnswer(status: 200, body: $0)) })
            return try await script.store.read(Script.name)
        }
        #expect(try await read([1, 2, 3], [4, 5]) == [1, 2, 3, 4, 5])
        for (first, second) in [([1, 2], [4, 5]), ([1, 2, 3], []), ([1, 2, 3, 4], [5])] as [([UInt8], [UInt8])] {
            do {
                let bytes = try await read(first, second)
                Issue.record("\(bytes) were taken for the object")
            } catch ObjectStoreError.failed {}
        }
        let other = try Script(
            [record],
            assets: [
                .success(StoreAnswer(status: 206, headers: [("Content-Range", "bytes 0-0/3")], body: [1])),
                .success(StoreAnswer(status: 206, headers: [("Content-Range", "bytes 1-2/3")], body: [2, 3])),
                .success(StoreAnswer(status: 206, headers: [("Content-Range", "bytes 0-0/2")], body: [4])),
            ])
        #expect(try await other.store.read(Script.name, 1..<4) == [2, 3, 4], "what broke off is asked for again")
        #expect(other.assets.requests.map { $0.headers.first?.value } == ["bytes=1-2", "bytes=1-2", "bytes=0-0"])
    }

    @Test func `asks for new addresses when those that it knows have ended`() async throws {
        let record = Script.record(#""size": {"value": 3}, "part1": \#(Script.asset(3))"#)
        let bytes = Script.Answer.success(StoreAnswer(status: 200, body: [1, 2, 3]))
        let script = try Script(
            [record, record], assets: [bytes, .success(StoreAnswer(status: 410)), bytes])
        #expect(try await script.store.read(Script.name) == [1, 2, 3])
        #expect(try await script.store.read(Script.name, 1..<3) == [2, 3])
        #expect(script.asked == ["records/lookup", "records/lookup"])
        #expect(script.assets.requests[0].url == "https://cvws.icloud-content.com/B/x/part?e=1")
        let late = try Script(
            [record, record, record],
            assets: [404, 403].map { .success(StoreAnswer(status: $0)) } + [bytes], dice: { $0 })
        #expect(try await late.store.read(Script.name) == [1, 2, 3], "not every server has a new one at once")
        #expect(late.clock.now == 750_000_000)
        let never = try Script(
            (0..<9).map { _ in record }, assets: (0..<9).map { _ in .success(StoreAnswer(status: 404)) })
        guard case .failed? = await never.failure({ _ = try await never.store.read(Script.name) }) else {
            Issue.record("an object whose record is there is not missing")
            return
        }
        #expect(never.asked.count == 3)
    }
}
