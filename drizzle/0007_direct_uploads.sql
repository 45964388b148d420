CREATE TABLE `direct_uploads` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` text NOT NULL,
	`name` text NOT NULL,
	`size` integer NOT NULL,
	`sha256` text,
	`visibility` text NOT NULL,
	`object_key` text NOT NULL,
	`parts_id` text,
	`part_count` integer NOT NULL,
	`is_complete` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `direct_uploads_owner` ON `direct_uploads` (`owner_id`);--> statement-breakpoint
CREATE INDEX `direct_uploads_expiry` ON `direct_uploads` (`expires_at`);
--> statement-breakpoint
-- Bytes that were sent and did not become a file are doomed with their row, also when it goes by a cascade.
CREATE TRIGGER direct_uploads_doom_delete AFTER DELETE ON direct_uploads
	WHEN NOT EXISTS (SELECT 1 FROM files WHERE object_key = old.object_key) BEGIN
	INSERT OR IGNORE INTO doomed_objects (object_key) VALUES (old.object_key);
END;
