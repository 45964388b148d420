ALTER TABLE `backups` ADD `operation` text DEFAULT 'create' NOT NULL;--> statement-breakpoint
ALTER TABLE `backups` ADD `order` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `backups` ADD `attempts` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `backups` ADD `failure` text;--> statement-breakpoint
ALTER TABLE `backups` ADD `is_kept` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `backups` ADD `bytes` integer;--> statement-breakpoint
ALTER TABLE `backups` ADD `file_count` integer;--> statement-breakpoint
ALTER TABLE `backups` ADD `verification` text;--> statement-breakpoint
ALTER TABLE `backups` ADD `test_restore` text;--> statement-breakpoint
ALTER TABLE `backups` ADD `is_restart_required` integer DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX `backups_status` ON `backups` (`status`,`id`);