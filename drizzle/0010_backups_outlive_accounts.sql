-- Backups of the system outlive the account of whoever asked for them. The reference cascades, since those of a user do not.
CREATE TRIGGER users_keep_system_backups BEFORE DELETE ON users BEGIN
	UPDATE backups SET user_id = NULL WHERE user_id = old.id AND scope = 'system';
END;
