import ApusDaemon

Apus.run()
