import BackupEngine
import BackupFormat
import ObjectStores
import Testing

/// What is asked about where an answer may be 404.
private enum Question: CaseIterable {
    case read
    case part
    case size
    case delete

    func ask(_ store: WebDAVStore, _ name: ObjectName) async throws(ObjectStoreError) {
        switch self {
        case .read: _ = try await store.read(name)
        case .part: _ = try await store.read(name, 0..<1)
        case .size: _ = try await store.size(of: name)
        case .delete: try await store.delete(name)
        }
    }
}

/// A proxy says 404 of everything while the server behind it starts, and a server while its disk is away.
@Suite struct `What a server says is not there` {
    private typealias Script = WebDAVScript
    private typealias Answer = WebDAVScript.Answer
    private static let pack = ObjectName.pack(`Every store`.id(0xab))
    private static let root = Script.list([
        ("", Script.folder), ("keyring/", Script.folder), ("packs/", Script.folder), ("snapshots/", Script.folder),
        ("coffer.json", Script.file(3)),
    ])
    private static let packs = Script.list([("packs/", Script.folder), ("packs/ab/", Script.folder)])
    private static let gone = ObjectStoreError.failed("the backup's folder is not there any more")

    private static func always(_ answers: Answer...) -> [Answer] { (0..<9).flatMap { _ in answers } }

    private static func isFailure(_ error: any Error) -> Bool {
        if case ObjectStoreError.failed = error { true } else { false }
    }

    @Test func `is believed of a folder where the one above does not name it`() async throws {
        let empty = Script.list([("", Script.folder)])
        for above in [[empty], [Script.answer(404), Script.above("q/")]] {
            for folder in ObjectName.Folder.allCases {
                let (store, transport) = try Script.store([Script.answer(404)] + above)
                #expect(try await store.list(folder) == [])
                #expect(transport.requests.count == 1 + above.count)
            }
        }
        // The folder itself is no part of what lies in it.
        let (named, _) = try Script.store(
            [Script.answer(404), Script.above().replacing("/<", with: "/packs/<")], address: "webdav:https://h/packs")
        #expect(try await named.list(.packs) == [])
    }

    @Test func `is a failure of the server where the one above names it, or nothing is shown`() async throws {
        for answers in [Self.always(Script.answer(404), Self.root), Self.always(Script.answer(404))] {
            for folder in [ObjectName.Folder.snapshots, .packs, .keyring] {
                let (store, _) = try Script.store(answers)
                await #expect(performing: { _ = try await store.list(folder) }, throws: Self.isFailure)
            }
        }
        // It is there when it is looked for again.
        let snapshot = ObjectName.snapshot(SnapshotName(number: 1, id: `Every store`.id(1))).path
        let list = Script.list([("snapshots/", Script.folder), (snapshot, Script.file(1))])
        let (store, _) = try Script.store([Script.answer(404), Self.root, list])
        #expect(try await store.list(.snapshots).map(\.path) == [snapshot])
    }

    @Test func `is a failure of the server where only one of the folders of packs is not shown`() async throws {
        let (store, _) = try Script.store(
            [Self.packs] + Self.always(Script.answer(404), Self.root, Self.packs))
        await #expect(performing: { _ = try await store.list(.packs) }, throws: Self.isFailure)
    }

    @Test(arguments: Question.allCases)
    private func `is believed of an object in the same way`(_ question: Question) async throws {
        let within = Script.list([("packs/ab/", Script.folder), (Self.pack.path, Script.file(7))])
        let without = Script.list([("packs/ab/", Script.folder)])
        for answers in [
            Self.always(Script.answer(404)), Self.always(Script.answer(404), Self.root, Self.packs, within),
            // Two servers behind one name, of which one has no disk.
            Self.always(Script.answer(404), Self.root, Script.answer(404)),
        ] {
            let (store, _) = try Script.store(answers)
            await #expect(performing: { try await question.ask(store, Self.pack) }, throws: Self.isFailure)
        }
        for status in [404, 410] {
            for above in [[Self.root, Self.packs, without], [Script.list([("", Script.folder)])]] {
                let (store, transport) = try Script.store([Script.answer(status)] + above)
                do throws(ObjectStoreError) {
                    try await question.ask(store, Self.pack)
                    #expect(question == .delete)
                } catch {
                    #expect(error == .notFound(Self.pack.path) && question != .delete)
                }
                #expect(transport.requests.count == 1 + above.count)
            }
        }
    }

    @Test func `is not the whole store, once it was seen`() async throws {
        let header = [Script.answer(200, "abc"), Script.size(3)]
        for nothing in [
            [Script.answer(404), Script.answer(404), Script.above("q/")],
            // An empty place where a disk is mounted at other times.
            [Script.answer(404), Script.list([("", Script.folder)])],
        ] {
            let (store, _) = try Script.store(header + nothing + [Script.answer(204)] + nothing)
            _ = try await store.read(.header)
            await #expect(throws: Self.gone) { _ = try await store.list(.packs) }
            // Whoever deletes it knows.
            try await store.delete(.header)
            #expect(try await store.list(.packs) == [])
        }
    }

    @Test func `may be said in an answer for many, too`() async throws {
        let body =
            "<multistatus><response><href>/p/x</href><status>HTTP/1.1 404 Not Found</status></response></multistatus>"
        let (store, transport) = try Script.store([Script.answer(207, body), Script.list([("", Script.folder)])])
        await #expect(throws: ObjectStoreError.notFound(Script.name.path)) {
            _ = try await store.size(of: Script.name)
        }
        #expect(transport.requests.count == 2)
    }

    @Test func `is asked about as often as a server that fails`() async throws {
        let header = [Script.answer(200, "abc"), Script.size(3)]
        let (known, asked) = try Script.store(header + Self.always(Script.answer(404), Self.root))
        _ = try await known.read(.header)
        await #expect(performing: { _ = try await known.list(.snapshots) }, throws: Self.isFailure)
        #expect(asked.requests.count == 2 + 4 * 2)
        let (unknown, few) = try Script.store(Self.always(Script.answer(404)))
        await #expect(performing: { _ = try await unknown.list(.snapshots) }, throws: Self.isFailure)
        // The folder, the store's, and the server's root.
        #expect(few.requests.count == 2 * 3)
    }
}

extension WebDAVScript.Answer {
    fileprivate func replacing(_ text: String, with other: String) -> Self {
        map { answer in
            var answer = answer
            answer.body = Array(String(decoding: answer.body, as: UTF8.self).replacing(text, with: other).utf8)
            return answer
        }
    }
}
