/// One job of the shipped binaries that is killed on its way and resumed until it is over.
package struct KillRun: Sendable {
  package init() {}
}
