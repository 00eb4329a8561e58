import ApusDaemon
import SocketAuth

Apus.run(providers: [SocketAuth.declaration])
