import Jobs

/// What decides for a modelled process: the shipping reducer, or one that was broken on purpose.
package struct Client: Sendable {
  package var name: String
  package var next: @Sendable (_ state: JobState, _ tries: Int) -> JobState.Next
  package var after: @Sendable (JobState, Event, JobContext, Moment) throws -> JobState
  /// What the store holds when the process is killed in a state.
  package var afterCrash: @Sendable (JobState) -> JobState
  /// What the store holds when the process gives a release up with exit code 75.
  package var afterLeaving: @Sendable (JobState) -> JobState
  /// How long a name is watched after the last commit that was about to post it.
  package var watch: Duration

  package init(
    _ name: String,
    next: @escaping @Sendable (JobState, Int) -> JobState.Next = { $0.next(tries: $1) },
    after: @escaping @Sendable (JobState, Event, JobContext, Moment) throws -> JobState = {
      try $0.after($1, in: $2, at: $3)
    },
    afterCrash: @escaping @Sendable (JobState) -> JobState = { $0 },
    afterLeaving: @escaping @Sendable (JobState) -> JobState = { $0 },
    watch: Duration = Window.watch
  ) {
    self.name = name
    self.next = next
    self.after = after
    self.afterCrash = afterCrash
    self.afterLeaving = afterLeaving
    self.watch = watch
  }

  /// What fcrun ships: every commit is durable, and nothing else is remembered.
  package static let shipping = Client("shipping")
}
