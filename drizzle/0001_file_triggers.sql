-- What a user keeps, counted where it changes, so that the sum can never drift from the rows.
CREATE TRIGGER files_usage_insert AFTER INSERT ON files BEGIN
	INSERT INTO file_usage (user_id, bytes) VALUES (new.owner_id, new.size)
		ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + new.size;
END;
--> statement-breakpoint
CREATE TRIGGER files_usage_update AFTER UPDATE OF size ON files BEGIN
	UPDATE file_usage SET bytes = bytes + new.size - old.size WHERE user_id = new.owner_id;
END;
--> statement-breakpoint
CREATE TRIGGER files_usage_delete AFTER DELETE ON files BEGIN
	UPDATE file_usage SET bytes = bytes - old.size WHERE user_id = old.owner_id;
END;
--> statement-breakpoint
-- Bytes that lose their name are doomed in the same transaction, also when the row goes by a cascade.
CREATE TRIGGER files_doom_delete AFTER DELETE ON files BEGIN
	INSERT OR IGNORE INTO doomed_objects (object_key) VALUES (old.object_key);
END;
--> statement-breakpoint
CREATE TRIGGER files_doom_replace AFTER UPDATE OF object_key ON files WHEN old.object_key <> new.object_key BEGIN
	INSERT OR IGNORE INTO doomed_objects (object_key) VALUES (old.object_key);
END;
--> statement-breakpoint
CREATE TRIGGER file_variants_doom_delete AFTER DELETE ON file_variants BEGIN
	INSERT OR IGNORE INTO doomed_objects (object_key) VALUES (old.object_key);
END;
