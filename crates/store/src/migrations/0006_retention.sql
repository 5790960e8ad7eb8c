-- How long an environment keeps what has ended, in days; null is for ever, no row is the default.
CREATE TABLE retention (
  environment TEXT NOT NULL PRIMARY KEY REFERENCES environment(id),
  runs_days INTEGER CHECK (runs_days > 0),
  logs_days INTEGER CHECK (logs_days > 0)
) STRICT, WITHOUT ROWID;

-- Whether the run's log was removed because its time was over.
ALTER TABLE run ADD COLUMN log_removed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_ended ON run(environment, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX run_with_log ON run(environment, finished_at) WHERE finished_at IS NOT NULL AND log_removed = 0;
