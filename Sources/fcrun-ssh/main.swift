// fcrun-ssh: the worker that holds one connection to one machine. JSON requests on stdin, JSON events on stdout, one object per line;
// Sources/Remote/Messages.swift has them all.

import SSH

Confinement.apply()
let worker = Worker()
RequestReader.start(worker)
EventLoop.shared.run()
