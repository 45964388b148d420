-- Null means that a ThumbHash is still to be made; what is no picture never gets one.
UPDATE files SET thumbhash = '' WHERE type NOT IN ('image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/bmp');
--> statement-breakpoint
CREATE INDEX `files_unhashed` ON `files` (`id`) WHERE thumbhash IS NULL;
