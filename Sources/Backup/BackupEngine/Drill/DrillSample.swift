import BackupFormat

/// One file or symbolic link of a snapshot.
struct DrillItem {
    let path: [UInt8]
    let entry: Entry

    var content: FileContent? {
        if case .file(let content) = entry.kind { return content }
        return nil
    }

    var isDatabase: Bool { content.map { $0.form != .asIs } ?? false }
}

/// What a drill restores: each file with the same chance, some of each category whatever the chance, and the databases.
struct DrillSample {
    /// Of each category, even if the chance gives none.
    private static let perCategoryMin = 2

    private let percent: Double
    private var chosen: [DrillItem] = []
    private var databases: [DrillItem] = []
    /// A uniform choice of each category's files (reservoir sampling).
    private var reservoirs: [Category: (seen: Int, items: [DrillItem])] = [:]
    private(set) var filesSeen = 0

    init(percent: Double) { self.percent = percent }

    mutating func add(_ item: DrillItem, using generator: inout some RandomNumberGenerator) {
        if let content = item.content {
            filesSeen += 1
            if item.isDatabase { return databases.append(item) }
            hold(item, Category(of: item.path, form: content.form), using: &generator)
        }
        if percent >= 100 || Double.random(in: 0..<100, using: &generator) < percent { chosen.append(item) }
    }

    private mutating func hold(
        _ item: DrillItem, _ category: Category, using generator: inout some RandomNumberGenerator
    ) {
        var (seen, items) = reservoirs[category] ?? (0, [])
        seen += 1
        if items.count < Self.perCategoryMin {
            items.append(item)
        } else {
            let place = Int.random(in: 0..<seen, using: &generator)
            if place < items.count { items[place] = item }
        }
        reservoirs[category] = (seen, items)
    }

    /// - Parameter databaseBytesMax: how much of databases is restored; those beyond it are left out.
    func finished(
        databaseBytesMax: UInt64, using generator: inout some RandomNumberGenerator
    ) -> (items: [DrillItem], databasesLeftOut: [DrillItem]) {
        var items = chosen
        var paths = Set(items.map(\.path))
        for category in Category.allCases {
            for item in reservoirs[category]?.items ?? [] where paths.insert(item.path).inserted { items.append(item) }
        }
        var left: [DrillItem] = []
        var bytes: UInt64 = 0
        for item in databases.shuffled(using: &generator) {
            let sum = bytes.addingReportingOverflow(item.content?.contentBytes ?? 0)
            if percent >= 100 || (!sum.overflow && sum.partialValue <= databaseBytesMax) {
                bytes = sum.partialValue
                items.append(item)
            } else {
                left.append(item)
            }
        }
        return (items, left)
    }
}
