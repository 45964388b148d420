CREATE TABLE `job_leases` (
	`job` text PRIMARY KEY NOT NULL,
	`holder` text,
	`expires_at` integer NOT NULL,
	`fence` integer NOT NULL,
	`finished_at` integer
);
