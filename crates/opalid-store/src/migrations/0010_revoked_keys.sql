CREATE TABLE revoked_key (
    workspace {blob} NOT NULL, kid {text} NOT NULL, revoked_at {int} NOT NULL,
    PRIMARY KEY (workspace, kid)
){clustered};
