import ArgumentParser
import ByteCoding

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@main struct Simulation: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "How the vaults keep their promises under faults and attacks.",
        subcommands: [Seeds.self, Load.self], defaultSubcommand: Seeds.self)
}

struct Seeds: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs fleets, people and attackers from seeds, and checks after every step what was promised.")

    @Option(help: "How many seeds.") var seeds: UInt64 = 20
    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "One seed alone, run twice.") var seed: UInt64?
    @Flag(help: "Print everything that happens.") var verbose = false
    @Option(help: "A bug to put in: \(Plant.allCases.map(\.rawValue).joined(separator: ", ")).")
    var plant: String?
    @Flag(help: "Put in every bug in turn; each must be noticed.") var plants = false

    func run() throws {
        if plants {
            for plant in Plant.allCases { for check in plant.noticedBy { try notice(plant, by: check) } }
            return
        }
        let plant = try self.plant.map { name in
            guard let plant = Plant(rawValue: name) else { throw ValidationError("there is no plant \(name)") }
            return plant
        }
        let settings = Settings(plant: plant, watching: nil, isVerbose: verbose)
        let range = seed.map { $0...$0 } ?? first...(first + max(seeds, 1) - 1)
        var (messages, recoveries, registrations) = (0, 0, 0)
        for seed in range {
            let outcome = try run(seed, settings)
            if let breach = outcome.breach {
                say("seed \(seed): \(breach.check.rawValue): \(breach.text)")
                say("replay it with: simulate --seed \(seed) --verbose\(plant.map { " --plant \($0.rawValue)" } ?? "")")
                throw ExitCode.failure
            }
            messages += outcome.messages
            recoveries += outcome.recoveries
            registrations += outcome.registrations
            if seed == range.upperBound { print("seed \(seed): digest \(Hex.encode(outcome.digest))") }
        }
        say(
            "seeds \(range.lowerBound)…\(range.upperBound) ran clean: \(messages) messages, \(registrations) registrations begun, \(recoveries) recoveries"
        )
    }

    /// Every twentieth seed, and a single one, is run twice: the same seed gives the same bytes.
    private func run(_ seed: UInt64, _ settings: Settings) throws -> Outcome {
        var outcome = try Run(seed, settings).perform()
        let isWatched = settings.watching.map { $0 == .sameBytes } ?? (self.seed != nil || seed % 20 == 1)
        guard outcome.breach == nil, isWatched else { return outcome }
        var quiet = settings
        quiet.isVerbose = false
        if try Run(seed, quiet).perform().digest != outcome.digest {
            outcome.breach = Breach(check: .sameBytes, text: "two runs differ")
        }
        return outcome
    }

    /// At once, also when it goes into a file.
    private func say(_ text: String) {
        print(text)
        fflush(nil)
    }

    private func notice(_ plant: Plant, by check: Check) throws {
        let start = plant.firstSeed(for: check)
        for seed in start...(start + 199) {
            guard let breach = try run(seed, Settings(plant: plant, watching: check)).breach else { continue }
            say("\(plant.rawValue): noticed by \(check.rawValue), seed \(seed): \(breach.text)")
            return
        }
        say("\(plant.rawValue): \(check.rawValue) did not notice it in 200 seeds")
        throw ExitCode.failure
    }
}
