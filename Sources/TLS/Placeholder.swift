import COpenSSL
package struct TLSError: Error { package var call: StaticString; package var text: String; package var isPeersFault: Bool; package var systemErrno: Int32 }
package enum TLSProgress { case done, wantsRead, wantsWrite, closed }
package final class TLSContext { 
  package func accept(_ fd: Int32) throws(TLSError) -> TLSSession { fatalError() } }
package struct TLSSession: ~Copyable {
  let ssl: OpaquePointer
  package enum Outcome: Equatable { case bytes(Int), wantsRead, wantsWrite, closed, endOfStream }
  package mutating func handshake() throws(TLSError) -> TLSProgress { .done }
  package mutating func read(into: UnsafeMutableRawBufferPointer) throws(TLSError) -> Outcome {.closed}
  package mutating func write(_: UnsafeRawBufferPointer) throws(TLSError) -> Outcome {.closed}
  package mutating func shutdown() throws(TLSError) -> TLSProgress { .done }
  package consuming func release() -> OpaquePointer { ssl }
}
