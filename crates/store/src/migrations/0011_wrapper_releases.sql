-- What the wrapper said last about updates of itself.
ALTER TABLE agent ADD COLUMN wrapper_update_report TEXT;
