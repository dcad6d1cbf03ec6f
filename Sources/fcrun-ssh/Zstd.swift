#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// zstd's own library, where this computer has it: nothing depends on it.
enum Zstd {
  /// Fast enough for every link that is worth packing for.
  private static let level: Int32 = 1

  private struct Library: Sendable {
    typealias Compress = @Sendable @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeRawPointer?, Int, Int32) -> Int
    typealias Bound = @Sendable @convention(c) (Int) -> Int
    typealias IsError = @Sendable @convention(c) (Int) -> UInt32

    var compress: Compress
    var bound: Bound
    var isError: IsError
  }

  private static let library: Library? = {
    let names = ["libzstd.so.1", "libzstd.1.dylib"]
    guard let handle = names.lazy.compactMap({ dlopen($0, RTLD_NOW) }).first,
      let compress = dlsym(handle, "ZSTD_compress"), let bound = dlsym(handle, "ZSTD_compressBound"),
      let isError = dlsym(handle, "ZSTD_isError")
    else { return nil }
    return Library(
      compress: unsafeBitCast(compress, to: Library.Compress.self),
      bound: unsafeBitCast(bound, to: Library.Bound.self), isError: unsafeBitCast(isError, to: Library.IsError.self))
  }()

  static var isHere: Bool { library != nil }

  /// RFC 8878; nil where the library is missing or fails.
  static func frame(of bytes: [UInt8]) -> [UInt8]? {
    guard let library else { return nil }
    let capacity = library.bound(bytes.count)
    var count = 0
    let frame = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, used in
      count = library.compress(buffer.baseAddress, capacity, bytes, bytes.count, level)
      used = library.isError(count) == 0 ? count : 0
    }
    return frame.isEmpty ? nil : frame
  }
}
