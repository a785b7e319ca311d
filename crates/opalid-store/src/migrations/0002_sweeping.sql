CREATE INDEX request_expires ON request (expires_at);
CREATE INDEX feed_at ON feed (at);
CREATE INDEX audit_at ON audit (at);
