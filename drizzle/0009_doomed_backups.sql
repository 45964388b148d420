CREATE TABLE `doomed_backups` (
	`backup_id` text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
ALTER TABLE `backups` ADD `is_imported` integer DEFAULT false NOT NULL;--> statement-breakpoint
-- A backup that loses its row is to be forgotten by the repository too, also when the row goes with its owner's account. Those of the
-- system outlive whoever asked for them: deleting one says so itself.
CREATE TRIGGER backups_doom_delete AFTER DELETE ON backups WHEN old.is_kept AND old.scope = 'user' BEGIN
	INSERT OR IGNORE INTO doomed_backups (backup_id) VALUES (old.id);
END;
