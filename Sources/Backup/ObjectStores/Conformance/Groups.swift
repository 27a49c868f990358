extension StoreConformance {
    /// One part of the contract. The numbers are those of the table in `Docs/Stores.md`.
    package struct Group: Sendable, CustomStringConvertible {
        package let number: Int
        package let title: String
        /// What it moves at most.
        package let bytes: @Sendable (Extent) -> (up: Int, down: Int)
        let run: @Sendable (Trial) async throws -> Outcome

        package var description: String { "\(number) \(title)" }

        private init(
            _ number: Int, _ title: String,
            bytes: @escaping @Sendable (Extent) -> (up: Int, down: Int) = { _ in (0, 0) },
            _ run: @escaping @Sendable (Trial) async throws -> Outcome
        ) {
            self.number = number
            self.title = title
            self.bytes = bytes
            self.run = run
        }

        /// One that needs more than the store itself.
        private static func elsewhere(_ number: Int, _ title: String, _ words: String) -> Group {
            Group(number, title) { _ in .notApplicable(words) }
        }

        private static let badLine = "needs a line that fails; Coffer's own tests try it (Docs/Testing.md)"

        /// All eighteen, in their order.
        package static let all: [Group] = [
            Group(1, "objects that are not there", { try await missingObjects($0) }),
            Group(
                2, "objects of many sizes",
                bytes: { extent in (extent.sizes.reduce(0, +), extent.sizes.reduce(0, +)) },
                { try await manySizes($0) }),
            Group(3, "parts of objects", bytes: { _ in (500_000, 2_000_000) }, { try await ranges($0) }),
            Group(
                4, "lists", bytes: { extent in (extent.listedObjects * listedBytes + 1_000, 0) },
                { try await lists($0) }),
            Group(
                5, "creating never replaces",
                bytes: { extent in (racers * racedBytes * extent.races + 10_000, 500_000) },
                { try await creatingNeverReplaces($0) }),
            Group(
                6, "replacing: the old or the new", bytes: { _ in (600_000, 5_000_000) }, { try await replacing($0) }),
            Group(
                7, "uploads that end early",
                bytes: { extent in (6 * extent.cutBytes + 1_000_000, 6 * extent.cutBytes + 500_000) },
                { try await endedEarly($0) }),
            elsewhere(8, "wrong hashes", "Coffer hands over no wrong hash; what came was compared in 2"),
            elsewhere(9, "answers that are lost", badLine),
            Group(10, "names of every kind", bytes: { _ in (10_000, 10_000) }, { try await names($0) }),
            Group(11, "deleting and creating again", bytes: { _ in (10_000, 10_000) }, { try await deleting($0) }),
            elsewhere(12, "busy servers", badLine),
            Group(13, "a store that is full", { try await room($0) }),
            elsewhere(14, "a clock that is wrong", badLine),
            Group(15, "two devices", bytes: { _ in (100_000, 100_000) }, { try await twoDevices($0) }),
            elsewhere(16, "killed and begun again", badLine),
            elsewhere(17, "other programs", "needs other programs; make test-clouds tries them"),
            elsewhere(
                18, "servers that say one thing and do another",
                "needs servers that are known; make test-clouds tries them"),
        ]

        /// Those that the store alone decides.
        package static let live = all.filter { [1, 2, 3, 4, 5, 6, 7, 10, 11].contains($0.number) }
    }
}
