package import ByteCoding

/// One image of a database in a chain: the first gives every page, a further one what differs from the one below (section 8).
package struct PageLayer: ByteCodable, Equatable, Sendable {
    /// In a chain; a restore reads all of them.
    package static let layersMax = 16

    package var pageCount: Int
    /// One chunk for each group of pages, or `zeros` for a group without batches.
    package var groups: ChunkList

    package init(pageCount: Int, groups: ChunkList) {
        self.pageCount = pageCount
        self.groups = groups
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        pageCount = Int(try reader.uint32())
        groups = try ChunkList(from: &reader)
        guard pageCount > 0, groups.depth > 0 || groups.ids.count == PageGroup.count(pages: pageCount)
        else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        guard let pageCount = UInt32(exactly: pageCount) else { throw .lengthOutOfRange }
        writer.uint32(pageCount)
        try groups.encode(into: &writer)
    }
}

/// The first bytes of a page's keyed hash, by which a device without a copy finds the pages that changed (section 8).
package struct PageHash: FixedBytes {
    package static let byteCount = 8
    package let bytes: [UInt8]
    package init(uncheckedBytes: [UInt8]) { bytes = uncheckedBytes }
}

/// Pages that stand one behind the other in an image and in a batch's content (section 8).
package struct PageRun: ByteCodable, Equatable, Sendable {
    static let encodedBytes = 6

    /// Counted from the group's first page.
    package var first: Int
    package var count: Int
    /// Where the first page stands in the batch's content, in pages.
    package var place: Int

    package init(first: Int, count: Int, place: Int) {
        self.first = first
        self.count = count
        self.place = place
    }

    package var end: Int { first + count }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        first = Int(try reader.uint16())
        count = Int(try reader.uint16())
        place = Int(try reader.uint16())
        guard count > 0, first + count <= PageGroup.pagesMax else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        for number in [first, count, place] {
            guard let number = UInt16(exactly: number) else { throw .lengthOutOfRange }
            writer.uint16(number)
        }
    }
}

/// Pages of one group that come from one place (section 8).
package struct PageBatch: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        case zeros
        /// Pages of a chunk.
        case full(ChunkID)
        /// A frame compressed with pages of the image below, by their numbers.
        case delta(ChunkID, prefix: [UInt32])
    }

    /// The most content of a chunk of full pages.
    package static let fullBytesMax = 4 << 20
    /// The most pages of one delta: a restore holds them and their prefix in memory.
    package static let deltaBytesMax = 256 << 10
    package static let prefixBytesMax = 1 << 20

    package var runs: [PageRun]
    package var content: Content
    /// Of each page in the order of the runs; none for zeros.
    package var hashes: [UInt8]

    package init(runs: [PageRun], content: Content, hashes: [UInt8]) {
        self.runs = runs
        self.content = content
        self.hashes = hashes
    }

    package var pageCount: Int { runs.reduce(0) { $0 + $1.count } }

    /// The runs of pages that rise, as they stand one behind the other in a new batch.
    package static func runs(of pages: [Int]) -> [PageRun] {
        var runs: [PageRun] = []
        for (place, page) in pages.enumerated() {
            if let last = runs.last, last.end == page {
                runs[runs.count - 1].count += 1
            } else {
                runs.append(PageRun(first: page, count: 1, place: place))
            }
        }
        return runs
    }
}

extension PageBatch: ByteCodable {
    private enum Kind: UInt8 {
        case zeros = 0
        case full = 1
        case delta = 2
    }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        guard let kind = Kind(rawValue: try reader.uint8()) else { throw .invalidValue }
        runs = try reader.list(PageRun.encodedBytes...0xffff)
        switch kind {
        case .zeros:
            content = .zeros
            hashes = []
        case .full:
            content = .full(try ChunkID(from: &reader))
            hashes = try reader.vector(PageHash.byteCount...0xffff)
        case .delta:
            let chunk = try ChunkID(from: &reader)
            hashes = try reader.vector(PageHash.byteCount...0xffff)
            let prefix = try reader.list(4...0xffff) { reader throws(ByteCodingError) in try reader.uint32() }
            content = .delta(chunk, prefix: prefix)
        }
        guard isCanonical else { throw .invalidValue }
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        let kind: Kind
        switch content {
        case .zeros: kind = .zeros
        case .full: kind = .full
        case .delta: kind = .delta
        }
        writer.uint8(kind.rawValue)
        try writer.list(runs, PageRun.encodedBytes...0xffff)
        switch content {
        case .zeros: break
        case .full(let chunk):
            try chunk.encode(into: &writer)
            try writer.vector(hashes, PageHash.byteCount...0xffff)
        case .delta(let chunk, let prefix):
            try chunk.encode(into: &writer)
            try writer.vector(hashes, PageHash.byteCount...0xffff)
            try writer.list(prefix, 4...0xffff) { page, writer throws(ByteCodingError) in writer.uint32(page) }
        }
    }

    /// One encoding for each batch: what could be one run is one.
    private var isCanonical: Bool {
        var place = 0
        var previous: PageRun?
        for run in runs {
            switch content {
            case .zeros: guard run.place == 0 else { return false }
            case .full:
                guard run.place + run.count <= Self.fullBytesMax / databasePageBytes.lowerBound else { return false }
            case .delta: guard run.place == place else { return false }
            }
            if let previous {
                let isPlacedBehind = content == .zeros || previous.place + previous.count == run.place
                guard run.first >= previous.end, run.first > previous.end || !isPlacedBehind else { return false }
            }
            place += run.count
            previous = run
        }
        if case .zeros = content { return hashes.isEmpty }
        if case .delta(let chunk, let prefix) = content {
            guard chunk != .zeros, zip(prefix, prefix.dropFirst()).allSatisfy({ $0 < $1 }) else { return false }
        }
        if case .full(.zeros) = content { return false }
        return hashes.count == place * PageHash.byteCount
    }
}

/// The sizes that a database's pages may have.
package let databasePageBytes = 512...65_536

/// The batches of up to 4,096 pages of a layer: the content of one chunk (section 8).
package struct PageGroup: ByteCodable, Equatable, Sendable {
    package static let pagesMax = 4_096

    package var batches: [PageBatch]

    package init(batches: [PageBatch]) { self.batches = batches }

    /// How many groups a number of pages has.
    package static func count(pages: Int) -> Int { (pages + pagesMax - 1) / pagesMax }

    package init(from reader: inout ByteReader) throws(ByteCodingError) {
        batches = try reader.list(0...0xff_ffff)
    }

    package func encode(into writer: inout ByteWriter) throws(ByteCodingError) {
        try writer.list(batches, 0...0xff_ffff)
    }

    /// Where a group stands in its chain, which says what it may and must hold.
    package struct Place: Equatable, Sendable {
        package var pageBytes: Int
        /// The group's pages are `firstPage..<firstPage + pages`.
        package var firstPage: Int
        package var pages: Int
        /// How many pages the image below has; nil in the first layer.
        package var pagesBelow: Int?

        /// - Parameter index: of the group in its layer.
        package init(index: Int, pageBytes: Int, layer: PageLayer, below: PageLayer?) {
            self.pageBytes = pageBytes
            firstPage = index * PageGroup.pagesMax
            pages = min(PageGroup.pagesMax, layer.pageCount - firstPage)
            pagesBelow = below?.pageCount
        }
    }

    /// Refuses pages that are named twice or lie outside, pages that would come from nowhere, and more than a restore may hold.
    package func check(at place: Place) throws(ByteCodingError) {
        var isNamed = [Bool](repeating: false, count: place.pages)
        var first = -1
        for batch in batches {
            guard let start = batch.runs.first?.first, start > first else { throw .invalidValue }
            first = start
            for run in batch.runs {
                guard run.end <= place.pages else { throw .invalidValue }
                for page in run.first..<run.end {
                    guard !isNamed[page] else { throw .invalidValue }
                    isNamed[page] = true
                }
            }
            try Self.check(batch, at: place)
        }
        let below = max(0, min(place.pages, (place.pagesBelow ?? 0) - place.firstPage))
        guard isNamed[below...].allSatisfy({ $0 }) else { throw .invalidValue }
    }

    private static func check(_ batch: PageBatch, at place: Place) throws(ByteCodingError) {
        guard case .delta(_, let prefix) = batch.content else { return }
        guard let pagesBelow = place.pagesBelow, batch.pageCount * place.pageBytes <= PageBatch.deltaBytesMax,
            prefix.count * place.pageBytes <= PageBatch.prefixBytesMax,
            prefix.last.map({ Int($0) < pagesBelow }) == true
        else { throw .invalidValue }
    }
}
