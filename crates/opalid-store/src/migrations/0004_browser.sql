ALTER TABLE request ADD COLUMN browser {blob};
ALTER TABLE request ADD COLUMN answered {int};
CREATE INDEX request_unanswered ON request (workspace, part, id) WHERE answered IS NULL;
