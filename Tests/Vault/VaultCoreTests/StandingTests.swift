import ByteCoding
import Testing
import VaultCore

@Suite struct StandingTests {
    private func hash(_ byte: UInt8) throws -> HeadHash { try HeadHash([UInt8](repeating: byte, count: 32)) }

    private func head(_ epoch: UInt64, after previous: HeadHash) throws -> KeyedHead {
        KeyedHead(
            head: LedgerHead(
                vaultID: try .init([UInt8](repeating: 1, count: 16)), epoch: epoch, slotCount: 0,
                root: MerkleTree().root,
                previous: previous, time: .start),
            code: try HeadCode([UInt8](repeating: 2, count: 32)))
    }

    @Test func `the anchored head is served, and one proven step further is completed`() throws {
        let five = try head(5, after: hash(4))
        #expect(Standing(of: five, anchored: [five.anchored]) == .current)
        #expect(Standing(of: five, anchored: [AnchoredHead(epoch: 4, hash: try hash(4))]) == .oneAhead)
        #expect(Standing(of: .none, anchored: []) == .current)
        #expect(Standing(of: .none, anchored: [.none]) == .current)
        #expect(Standing(of: try head(1, after: .none), anchored: []) == .oneAhead)
    }

    @Test func `everything else is a rollback, and says which`() throws {
        let five = try head(5, after: hash(4))
        func standing(_ anchored: [(UInt64, UInt8)]) throws -> Standing {
            Standing(of: five, anchored: try anchored.map { AnchoredHead(epoch: $0.0, hash: try hash($0.1)) })
        }
        #expect(try standing([(6, 9)]) == .refused(.storeIsBehind(storeEpoch: 5, anchoredEpoch: 6)))
        #expect(try standing([(5, 9)]) == .refused(.anotherBranch(storeEpoch: 5, anchoredEpoch: 5)))
        #expect(try standing([(4, 9)]) == .refused(.anotherBranch(storeEpoch: 5, anchoredEpoch: 4)))
        #expect(try standing([(3, 3)]) == .refused(.anchorIsBehind(storeEpoch: 5, anchoredEpoch: 3)))
        #expect(try standing([]) == .refused(.anchorIsBehind(storeEpoch: 5, anchoredEpoch: 0)))
        #expect(try standing([(.max, 9)]) == .refused(.storeIsBehind(storeEpoch: 5, anchoredEpoch: .max)))
        #expect(
            Standing(of: .none, anchored: [AnchoredHead(epoch: 1, hash: try hash(1))])
                == .refused(.storeIsBehind(storeEpoch: 0, anchoredEpoch: 1)))
    }

    @Test func `of many heads the highest decides, and one beside the store's history is enough to refuse`() throws {
        let five = try head(5, after: hash(4))
        let (behind, before) = (AnchoredHead(epoch: 2, hash: try hash(2)), AnchoredHead(epoch: 4, hash: try hash(4)))
        #expect(Standing(of: five, anchored: [behind, before]) == .oneAhead)
        #expect(Standing(of: five, anchored: [behind, five.anchored, before]) == .current)
        let ahead = AnchoredHead(epoch: 6, hash: try hash(6))
        #expect(
            Standing(of: five, anchored: [five.anchored, five.anchored, ahead])
                == .refused(.storeIsBehind(storeEpoch: 5, anchoredEpoch: 6)))
        for beside in [AnchoredHead(epoch: 5, hash: try hash(9)), AnchoredHead(epoch: 4, hash: try hash(9))] {
            #expect(
                Standing(of: five, anchored: [five.anchored, beside, before])
                    == .refused(.anotherBranch(storeEpoch: 5, anchoredEpoch: 5)))
        }
    }
}
