import BackupEngine
import Foundation
import ObjectStores

/// What a test of a store found: the groups of the contract, one after the other (`Docs/Stores.md`).
public struct StoreTest: Codable, Equatable, Sendable {
    public enum Outcome: String, Codable, Sendable {
        case passed
        /// The store can be used, and promises less than others.
        case weaker
        case failed
        /// It was not tried; the words say why.
        case notTried = "not-tried"
    }

    public struct Group: Codable, Equatable, Sendable {
        public let number: Int
        public let title: String
        public let outcome: Outcome
        /// Nil if there is nothing to say.
        public let words: String?
        public let seconds: Double
        public let bytesUp: UInt64
        public let bytesDown: UInt64
    }

    /// What a test is about to do.
    public struct Plan: Equatable, Sendable {
        public let place: String
        /// What goes there and comes back at most.
        public let bytesUpMax: UInt64
        public let bytesDownMax: UInt64
    }

    /// Where the objects of the test were; all of them are deleted.
    public let place: String
    public let groups: [Group]
    /// Whether the server itself refuses to write over an object, whoever writes at the same moment; nil if that was not tried.
    public let refusesToReplace: Bool?

    /// Whether the store can be used: no group failed.
    public var isFit: Bool { !groups.contains { $0.outcome == .failed } }
}

extension Device {
    /// Tries what a store promises, with objects of its own in a folder of their own, and deletes them.
    ///
    /// - Parameters:
    ///   - location: nil for this device's own store.
    ///   - isQuick: with less and smaller objects.
    ///   - begins: told before anything is moved.
    ///   - progress: told of each group when it is over.
    /// - Throws: also if the task is cancelled; everything is deleted then, too.
    public func testStore(
        _ location: String?, isQuick: Bool, begins: (StoreTest.Plan) -> Void = { _ in },
        progress: (StoreTest.Group) -> Void = { _ in }
    ) async throws(CofferError) -> StoreTest {
        let absolute =
            if let location {
                try StoreLocation.absolute(location, in: FileManager.default.currentDirectoryPath)
            } else {
                try enabledBackup().store
            }
        let whole = try StoreLocation.open(absolute, device: folder)
        if StoreLocation.isFolder(absolute), access(whole.place, F_OK) != 0 {
            throw CofferError(
                .noStore, "There is no folder \(whole.place). Nothing was tried.",
                advice: "Make it first, or check that the disk or the share is there.")
        }
        let place = StoreLocation.forTests(in: absolute)
        let store = try StoreLocation.open(place, device: folder)
        let conformance = StoreConformance(
            store, peer: try StoreLocation.open(place, device: folder), extent: isQuick ? .quick : .whole)
        begins(
            StoreTest.Plan(
                place: store.place, bytesUpMax: conformance.bytesUpMax, bytesDownMax: conformance.bytesDownMax))
        let findings: [StoreConformance.Finding]
        do throws(StoreConformance.Refusal) {
            findings = try await conformance.run { progress(StoreTest.Group($0)) }
        } catch {
            throw CofferError(error, testIn: store.place)
        }
        let capabilities = try? await whole.probed()
        try remember(capabilities, of: absolute)
        return StoreTest(
            place: store.place, groups: findings.map { StoreTest.Group($0) },
            refusesToReplace: capabilities?.refusesToReplace)
    }

    /// For this device's own store.
    private func remember(_ capabilities: StoreCapabilities?, of store: String) throws(CofferError) {
        guard let capabilities, let lock = try? folder.lock() else { return }
        defer { lock.release() }
        guard var settings = try folder.settings(), settings.store == store else { return }
        settings.capabilities = capabilities
        try folder.save(settings)
    }
}

extension StoreTest.Group {
    fileprivate init(_ finding: StoreConformance.Finding) {
        number = finding.group.number
        title = finding.group.title
        (outcome, words) =
            switch finding.outcome {
            case .passed: (.passed, nil)
            case .weaker(let words): (.weaker, words)
            case .failed(let words): (.failed, words)
            case .notApplicable(let words): (.notTried, words)
            }
        seconds = (finding.seconds * 1_000).rounded() / 1_000
        bytesUp = finding.bytesUp
        bytesDown = finding.bytesDown
    }
}

extension CofferError {
    fileprivate init(_ refusal: StoreConformance.Refusal, testIn place: String) {
        switch refusal {
        case .taken:
            self.init(
                .storeTaken,
                "There is something in \(place) that no test of a store has put there. Nothing was changed.",
                advice: "The test needs this place for itself: move what is there, or test another place.")
        case .cancelled:
            self.init(
                .notConfirmed, "The test of the store was stopped. What it had written is deleted.",
                advice: "Run it again to see whether the store can be used.")
        case .store(let error): self.init(error, place: place)
        }
    }
}
