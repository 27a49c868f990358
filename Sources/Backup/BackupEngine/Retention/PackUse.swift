import BackupFormat

/// How much of each pack is needed.
struct PackUse {
    private struct Use {
        let pack: ChunkIndex.Pack
        var neededBytes = 0

        var wasteBytes: Int { max(0, pack.pieceBytes - neededBytes) }
    }

    private var uses: [Use]

    /// A chunk that lies in two packs keeps both, since one of them may be damaged; but not a pack that is named to go,
    /// unless the chunk is nowhere else.
    init(
        _ index: ChunkIndex, needing chunks: Set<ChunkID>, condemned: Set<ObjectID>
    ) throws(ObjectStoreError) {
        uses = index.packs.map { Use(pack: $0) }
        let going = Set(index.packs.indices.filter { condemned.contains(index.packs[$0].id) })
        for chunk in chunks {
            let isElsewhere = try index.location(of: chunk, avoiding: going) != nil
            for piece in try index.pieces(of: chunk) where !(isElsewhere && going.contains(piece.pack)) {
                uses[piece.pack].neededBytes += piece.count
            }
        }
    }

    /// Packs of which no byte is needed.
    var unneeded: [ChunkIndex.Pack] { uses.filter { $0.neededBytes == 0 }.map(\.pack) }

    /// What was needed of these packs lies elsewhere now.
    mutating func release(_ packs: Set<ObjectID>) {
        for index in uses.indices where packs.contains(uses[index].pack.id) { uses[index].neededBytes = 0 }
    }

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
