import BackupFormat

/// How much of each pack is needed.
struct PackUse {
    private struct Use {
        let pack: ChunkIndex.Pack
        var neededBytes = 0

        var wasteBytes: Int { max(0, pack.pieceBytes - neededBytes) }
    }

    private var uses: [Use]
    /// Packs in which lies what would be lost with others if it did not lie here too.
    private(set) var relied: [ChunkIndex.Pack] = []
    /// Whether all that is needed was found in packs whose contents are known. Otherwise some of it may lie in one of the others.
    private(set) var isComplete = true

    /// A chunk that lies in two packs keeps both, since one of them may be damaged; but not a pack that is to go, unless the chunk
    /// is nowhere else.
    ///
    /// - Parameter going: packs that are named to go, and those that were written anew.
    init(
        _ index: ChunkIndex, needing chunks: Set<ChunkID>, going: Set<ObjectID>
    ) throws(ObjectStoreError) {
        uses = index.packs.map { Use(pack: $0) }
        let going = Set(index.packs.indices.filter { going.contains(index.packs[$0].id) })
        var relied: Set<Int> = []
        for chunk in chunks where chunk != .zeros {
            let elsewhere = try index.location(of: chunk, avoiding: going)
            for piece in try index.pieces(of: chunk) {
                if let elsewhere, going.contains(piece.pack) {
                    relied.formUnion(elsewhere.1.map(\.pack))
                } else {
                    uses[piece.pack].neededBytes += piece.count
                }
            }
            if elsewhere == nil, try index.location(of: chunk) == nil { isComplete = false }
        }
        self.relied = relied.sorted().map { index.packs[$0] }
    }

    /// Packs of which no byte is needed.
    var unneeded: [ChunkIndex.Pack] { uses.filter { $0.neededBytes == 0 }.map(\.pack) }

    var needed: [ChunkIndex.Pack] { uses.filter { $0.neededBytes > 0 }.map(\.pack) }

    /// The packs to write anew so that at most this much of all packs in use is waste; those with the most waste first,
    /// and none while there is less.
    func wasteful(percentMax: Int, leavingOut condemned: Set<ObjectID>) -> Set<ObjectID> {
        let inUse = uses.filter { $0.neededBytes > 0 && !condemned.contains($0.pack.id) }
        let total = inUse.reduce(0) { $0 + $1.pack.pieceBytes }
        var waste = inUse.reduce(0) { $0 + $1.wasteBytes }
        let allowed = total / 100 * max(0, percentMax)
        var chosen: Set<ObjectID> = []
        for use in inUse.sorted(by: { $0.wasteBytes > $1.wasteBytes }) where waste > allowed {
            chosen.insert(use.pack.id)
            waste -= use.wasteBytes
        }
        return chosen
    }
}
