import GRDB

/// The tables, as numbered steps that are only ever appended to.
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 jobs, journal, watched names, requests") { db in
      try db.execute(
        sql: """
          CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
          CREATE TABLE jobs (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, phase TEXT NOT NULL, epoch INTEGER NOT NULL,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
            context TEXT NOT NULL, arrangement TEXT NOT NULL, state TEXT NOT NULL);
          CREATE INDEX jobs_by_phase ON jobs (phase, created_at);
          CREATE TABLE journal (
            seq INTEGER PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs (id), epoch INTEGER NOT NULL,
            at INTEGER NOT NULL, event TEXT NOT NULL, phase TEXT NOT NULL);
          CREATE INDEX journal_by_job ON journal (job, seq);
          CREATE TABLE watched (
            name TEXT PRIMARY KEY NOT NULL, job TEXT NOT NULL, account TEXT NOT NULL, until INTEGER NOT NULL);
          CREATE TABLE requests (job TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (job, kind));
          """)
    }
    migrator.registerMigration("2 the id that a submit was given") { db in
      try db.execute(
        sql: """
          ALTER TABLE jobs ADD COLUMN submit_id TEXT;
          CREATE UNIQUE INDEX jobs_by_submit_id ON jobs (submit_id) WHERE submit_id IS NOT NULL;
          """)
    }
    migrator.registerMigration("3 offerings that failed") { db in
      try db.execute(
        sql: """
          CREATE TABLE failures (
            job TEXT NOT NULL, attempt INTEGER NOT NULL, account TEXT NOT NULL, offering TEXT NOT NULL,
            at INTEGER NOT NULL, PRIMARY KEY (job, attempt));
          CREATE INDEX failures_by_account ON failures (account, at);
          """)
    }
    migrator.registerMigration("4 sweeps") { db in
      try db.execute(
        sql: """
          CREATE TABLE sweeps (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, tasks TEXT NOT NULL, max_parallel INTEGER NOT NULL,
            max_cost TEXT, fails_fast INTEGER NOT NULL, root TEXT NOT NULL, created_at INTEGER NOT NULL);
          ALTER TABLE jobs ADD COLUMN sweep TEXT REFERENCES sweeps (id);
          ALTER TABLE jobs ADD COLUMN task INTEGER;
          CREATE INDEX jobs_by_sweep ON jobs (sweep, task);
          CREATE TABLE holders (name TEXT PRIMARY KEY NOT NULL, job TEXT NOT NULL REFERENCES jobs (id));
          """)
    }
    migrator.registerMigration("5 lists of jobs without a look at each") { db in
      try db.execute(
        sql: """
          CREATE INDEX jobs_by_time ON jobs (created_at);
          CREATE INDEX jobs_unfinished ON jobs (created_at) WHERE phase <> 'finished';
          """)
    }
    migrator.registerMigration("6 the id that a submit of a sweep was given") { db in
      try db.execute(
        sql: """
          ALTER TABLE sweeps ADD COLUMN submit_id TEXT;
          CREATE UNIQUE INDEX sweeps_by_submit_id ON sweeps (submit_id) WHERE submit_id IS NOT NULL;
          """)
    }
    migrator.registerMigration("7 what a list says of a job that is over") { db in
      try db.execute(
        sql: """
          ALTER TABLE jobs ADD COLUMN outcome TEXT;
          ALTER TABLE jobs ADD COLUMN exit_code INTEGER;
          ALTER TABLE jobs ADD COLUMN cost TEXT;
          ALTER TABLE jobs ADD COLUMN offering TEXT;
          """)
    }
    return migrator
  }
}
