// fcrun-ssh: the worker that holds one connection to one machine. JSON requests on stdin, JSON events on stdout, one object per line;
// Sources/Remote/Messages.swift has them all.

import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

// `fcrun doctor` asks; everything else is asked on stdin.
if CommandLine.arguments.dropFirst().first == "--version" {
  print(LibSSH2.version)
  exit(0)
}

Confinement.apply()
let worker = Worker()
RequestReader.start(worker)
EventLoop.shared.run()
