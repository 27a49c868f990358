import Primitives
import VaultCore

/// What remembers a vault's newest head beside its disk: one for all processes of the vault, and no crash reaches it.
// One thread runs all of it, so it may be called Sendable.
final class Memory: @unchecked Sendable {
    var held = AnchoredHead.none
}

/// One process's way to that memory: it may not answer, before or after it took a head, and the process may die there.
// One thread runs all of it, so it may be called Sendable.
final class MemoryHandle: Anchor, @unchecked Sendable {
    private let memory: Memory
    private let process: DiskHandle
    private let world: World

    init(_ memory: Memory, of process: DiskHandle, world: World) {
        self.memory = memory
        self.process = process
        self.world = world
    }

    func heads() throws(AnchorError) -> [AnchoredHead] {
        try suffer()
        return [memory.held]
    }

    func advance(to head: KeyedHead) throws(AnchorError) {
        try suffer()
        if memory.held != head.anchored {
            guard memory.held.epoch + 1 == head.head.epoch, memory.held.hash == head.head.previous else { throw .moved }
            memory.held = head.anchored
        }
        try suffer()
    }

    private func suffer() throws(AnchorError) {
        guard !process.isDead else { throw .unavailable("the process is gone") }
        if world.isCalm { return }
        if world.chance(perMille: 4) {
            process.die()
            throw .unavailable("the process died")
        }
        if world.chance(perMille: 8) { throw .unavailable("the anchor does not answer") }
    }
}
