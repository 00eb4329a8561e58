/// The zones of the running configuration and of the one being loaded. Lives in the master.
///
/// A load starts with ``begin()`` and ends with ``commit()`` or ``abandon()``. A zone that is asked for with the name,
/// size and layout it has in the running configuration is the same memory, contents included; anything else is fresh.
package final class ZoneRegistry {
    private var running: [String: SharedZone] = [:]
    private var loading: [String: SharedZone] = [:]
    private let notice: (String) -> Void

    /// - Parameter notice: Called with a line for the log when a known zone starts empty.
    package init(notice: @escaping (String) -> Void = { _ in }) { self.notice = notice }

    /// A new configuration is about to be loaded.
    package func begin() { loading = [:] }

    /// The loaded configuration is in force: zones it did not ask for go away.
    package func commit() {
        running = loading
        loading = [:]
    }

    /// The loading failed; the running configuration keeps its zones.
    package func abandon() { loading = [:] }

    /// The zones in force, for a binary upgrade.
    package var all: [SharedZone] { running.keys.sorted().compactMap { running[$0] } }

    /// Makes a zone that another master handed over a candidate for the next load.
    package func adopt(_ zone: SharedZone) { running[zone.name] = zone }

    /// The zone of this name; the same one for everybody who asks during a load.
    ///
    /// - Throws: ``ZoneError``: no memory, or asked for earlier in this load with another use or size (the texts of
    ///   `tls.md` section 2, without a place).
    package func zone(_ name: String, size: Int, layout: ZoneLayout) throws(ZoneError) -> SharedZone {
        if let zone = loading[name] {
            try Self.check(name, size: size, layout: layout, against: zone)
            return zone
        }
        let zone = try keptOrFresh(name, size: size, layout: layout)
        loading[name] = zone
        return zone
    }

    private func keptOrFresh(_ name: String, size: Int, layout: ZoneLayout) throws(ZoneError) -> SharedZone {
        if let zone = running[name] {
            if zone.size == size, zone.layout == layout { return zone }
            notice("shared memory zone \"\(name)\" starts empty: its size or layout changed")
        }
        return try SharedZone(name, size: size, layout: layout)
    }

    private static func check(_ name: String, size: Int, layout: ZoneLayout, against zone: SharedZone)
        throws(ZoneError)
    {
        guard zone.layout == layout else { throw .differentUse(of: name) }
        guard zone.size == size else { throw .conflict(over: name, size: size, declared: zone.size) }
    }
}

extension ZoneError {
    package static func differentUse(of name: String) -> ZoneError {
        ZoneError("the shared memory zone \"\(name)\" is already declared for a different use")
    }

    package static func conflict(over name: String, size: Int, declared: Int) -> ZoneError {
        ZoneError("the size \(size) of shared memory zone \"\(name)\" conflicts with already declared size \(declared)")
    }
}
