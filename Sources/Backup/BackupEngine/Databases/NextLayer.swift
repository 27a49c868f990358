import BackupFormat

/// How the next image of a database joins its chain, so that chains stay short and no day costs a whole database.
///
/// A chain is a first layer, further **steps**, and **days** upon them. Each day is stored against the day before. When there are enough days,
/// the next image is stored against the image of the last step instead, and takes the place of the days: one more step. The image of the
/// last step is the *base*; the device keeps a copy of it as well.
enum NextLayer: Equatable {
    /// On top of the chain.
    case day
    /// On top of the base, in place of the days.
    case step
    /// All pages anew.
    case first

    /// 72 images between one first layer and the next.
    static let daysMax = 8
    /// The first layer is one of them.
    static let stepsMax = 8

    /// - Parameters:
    ///   - layers: of the chain.
    ///   - base: how many of these layers make the base; nil if this device has no copy of it.
    init(layers: Int, base: Int?) {
        // Without a copy of the base the image becomes the base itself.
        let days = layers - (base ?? layers)
        if days < Self.daysMax, layers < PageLayer.layersMax {
            self = .day
        } else if let base, base < Self.stepsMax {
            self = .step
        } else {
            self = .first
        }
    }
}
