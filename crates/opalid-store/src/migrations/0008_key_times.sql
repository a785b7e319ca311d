ALTER TABLE workspace_key ADD COLUMN current_at {int};
ALTER TABLE workspace_key ADD COLUMN stopped_at {int};
UPDATE workspace_key SET current_at = created_at WHERE state = 'current';
