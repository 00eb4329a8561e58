// Apus with a protocol and an authentication provider that break every promise they can, one at a time: what is the matter
// stands in the configuration, or, for declarations, in an environment variable. `test_misbehaving` runs it.

import ApusDaemon
import ApusMail
import Glibc

let chosen = getenv("APUS_MISDECLARED").map { String(cString: $0) }
Apus.run(protocols: Misdeclared.protocols(chosen), providers: Misdeclared.providers(chosen))
