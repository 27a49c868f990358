import Coffer
import Testing

@Suite struct `A limit as people write it` {
    @Test func `is a rate for both ways, or one for each`() {
        #expect(TransferLimit("2M") == TransferLimit(up: 2_000_000, down: 2_000_000))
        #expect(TransferLimit("500k:4MB") == TransferLimit(up: 500_000, down: 4_000_000))
        #expect(TransferLimit("off:1.5M") == TransferLimit(up: nil, down: 1_500_000))
        #expect(TransferLimit("20000") == TransferLimit(up: 20_000, down: 20_000))
        #expect(TransferLimit("off") == .off && TransferLimit("OFF:off") == .off)
    }

    @Test(arguments: [
        "", "0", "-1M", "fast", "2X", "2M:", ":2M", "1M:2M:3M", "nan", "inf", "1e9", "999", "99999999999G", "M", ".",
        "1.2.3M",
        "2 M", "٢M", "0x10M",
    ])
    func `is refused if it is anything else`(text: String) {
        #expect(TransferLimit(text) == nil)
    }
}
