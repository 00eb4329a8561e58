import ApusDaemon
import NNTP

Apus.run(protocols: Apus.protocols + [NNTP.declaration])
