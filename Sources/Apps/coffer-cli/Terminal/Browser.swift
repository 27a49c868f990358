import Coffer
import Foundation

/// Sends a person to Google's page. The address is always printed, so that nothing depends on a browser that opens by itself.
enum Browser {
    static func tell(_ step: GoogleSignInStep, opening: Bool) {
        switch step {
        case .open(let address):
            Output.note(
                "Open this address in a browser on this machine, and allow Coffer access to its own files in your Drive:"
            )
            Output.note("\n\(Output.printable(address))\n")
            if opening, open(address) { Output.note("Your browser should open it by itself.") }
            Output.note("Waiting for your answer…")
        case .enter(let code, let address, let minutes):
            Output.note(
                "On any device open \(Output.printable(name: address)) and type this code within \(Words.count(minutes, "minute")):"
            )
            Output.note("\n    \(Output.printable(name: code))\n")
            Output.note("Waiting for your answer…")
        }
    }

    static func tell(_ step: ICloudSignInStep, opening: Bool) {
        switch step {
        case .open(let address, let port):
            Output.note(
                "Open this address in a browser on this machine, sign in at Apple, and let it keep you signed in:")
            Output.note("\n\(Output.printable(address))\n")
            if opening, open(address) { Output.note("Your browser should open it by itself.") }
            Output.note("Waiting for your answer at port \(port)…")
        case .bringBack(let address):
            Output.note("On any device open this address, sign in at Apple, and let it keep you signed in:")
            Output.note("\n\(Output.printable(address))\n")
            Output.note(
                "Then copy the whole address at which the browser ended, also if it shows no page there. It is not shown here, and opens "
                    + "your data in this container: give it to nobody.")
        }
    }

    /// - Returns: whether a desktop took it.
    private static func open(_ address: String) -> Bool {
        let environment = ProcessInfo.processInfo.environment
        guard environment["DISPLAY"] != nil || environment["WAYLAND_DISPLAY"] != nil else { return false }
        let places = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/xdg-open" }
        guard let program = places.first(where: { access($0, X_OK) == 0 }) else { return false }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [address]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        return (try? process.run()) != nil
    }
}
