CREATE TABLE `file_links` (
	`id` text PRIMARY KEY NOT NULL,
	`file_id` text NOT NULL,
	`disposition` text,
	`is_once` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`used_at` integer,
	FOREIGN KEY (`file_id`) REFERENCES `files`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `file_links_file` ON `file_links` (`file_id`,`id`);--> statement-breakpoint
CREATE INDEX `file_links_expiry` ON `file_links` (`expires_at`);--> statement-breakpoint
CREATE TABLE `quota_reservations` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` text NOT NULL,
	`bytes` integer NOT NULL,
	`replaced_file_id` text,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `quota_reservations_owner` ON `quota_reservations` (`owner_id`,`expires_at`);--> statement-breakpoint
CREATE INDEX `quota_reservations_expiry` ON `quota_reservations` (`expires_at`);--> statement-breakpoint
ALTER TABLE `files` ADD `thumbhash` text;--> statement-breakpoint
CREATE UNIQUE INDEX `file_variants_object` ON `file_variants` (`object_key`);
--> statement-breakpoint
-- What was made from the old content goes with it, and its objects are doomed by their own trigger.
CREATE TRIGGER files_variants_replace AFTER UPDATE OF object_key ON files WHEN old.object_key <> new.object_key BEGIN
	DELETE FROM file_variants WHERE file_id = old.id;
END;
