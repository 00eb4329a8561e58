import Config
import Observability
import Platform
import Proxy
import Supervisor
import TLS
import Zones

/// Reads the configuration with all directives this daemon has, again and again: what may be kept from one reading to
/// the next (shared memory, certificates whose files did not change) is kept here.
final class MailSource: ConfigurationSource {
    private let wiring: Wiring
    private let paths: BuiltInPaths
    private let globalDirectives: String
    private let registry: ZoneRegistry
    private var log: Log?
    /// What the configuration in force has read, if the next may take it over.
    private var inheritableObjects: TLSObjectCache?

    init(_ paths: BuiltInPaths, globalDirectives: String, _ wiring: Wiring) {
        (self.paths, self.globalDirectives, self.wiring) = (paths, globalDirectives, wiring)
        registry = ZoneRegistry()
    }

    func read(log: Log, names: NameTable) throws(ConfigError) -> ReadConfiguration {
        registry.begin()
        do throws(ConfigError) {
            return try load(log, names)
        } catch {
            registry.abandon()
            throw error
        }
    }

    var zones: [HandedZone] {
        registry.all.map {
            HandedZone(
                descriptor: $0.descriptor, name: $0.name, size: $0.size, use: $0.layout.use, version: $0.layout.version)
        }
    }

    func adopt(_ zones: [HandedZone], log: Log) {
        for zone in zones {
            do throws(ZoneError) {
                registry.adopt(
                    try SharedZone(
                        adopting: zone.descriptor, name: zone.name, size: zone.size,
                        layout: ZoneLayout(use: zone.use, version: zone.version)))
            } catch {
                log.write(.notice, "\(error.message): it starts empty")
            }
        }
    }

    /// Where there is nothing in the usual place, nobody has configured anything yet.
    private func load(with loader: ConfigLoader) throws(ConfigError) -> LoadedConfiguration {
        do throws(ConfigError) {
            return try loader.load(file: paths.configurationFile, globalDirectives: globalDirectives)
        } catch {
            guard paths.isConfigurationMissing else { throw error }
            throw ConfigError(
                error.message, level: error.level,
                hint: "begin with etc/apus.conf of the sources, or name another file: -c FILE")
        }
    }

    private func load(_ log: Log, _ names: NameTable) throws(ConfigError) -> ReadConfiguration {
        let environment = LoadingEnvironment(
            prefix: paths.prefix, configurationPrefix: paths.configurationPrefix,
            isPrivileged: UserIdentity.canChange, names: names, warn: { log.write(.warning, $0) },
            notice: { log.write(.notice, $0) })
        let objects = TLSObjectCache(inheriting: inheritableObjects)
        let mail = wiring.mailModule(objects: objects, zones: registry, hostName: HostName.current())
        let loader = ConfigLoader(
            directives: Wiring.processDirectives + mail.directives, blocks: Wiring.processBlocks + mail.blocks,
            environment: environment)
        let loaded = try load(with: loader)
        let configuration = try mail.configuration(loaded.root)
        if !configuration.passwordFilePaths.isEmpty, !loaded.root.settings[CoreSettings.self].hasMaster {
            throw ConfigError("\"auth_passwd_file\" needs helper processes, and \"master_process\" is off")
        }
        let keeps = loaded.root.settings[TLSLibrarySettings.self].isObjectCacheInheritable
        let service = MailService(configuration) { [unowned self] in
            registry.commit()
            inheritableObjects = keeps ? objects : nil
        }
        return ReadConfiguration(loaded: loaded, service: service)
    }
}
