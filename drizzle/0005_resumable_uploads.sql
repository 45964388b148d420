CREATE TABLE `resumable_uploads` (
	`id` text PRIMARY KEY NOT NULL,
	`owner_id` text NOT NULL,
	`handle` text NOT NULL,
	`length` integer,
	`metadata` text NOT NULL,
	`concatenation` text,
	`final_id` text,
	`file_id` text,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`holder` text,
	`held_until` integer NOT NULL,
	`fence` integer NOT NULL,
	`is_release_asked` integer NOT NULL,
	FOREIGN KEY (`owner_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `resumable_uploads_handle` ON `resumable_uploads` (`handle`);--> statement-breakpoint
CREATE INDEX `resumable_uploads_owner` ON `resumable_uploads` (`owner_id`);--> statement-breakpoint
CREATE INDEX `resumable_uploads_expiry` ON `resumable_uploads` (`expires_at`);