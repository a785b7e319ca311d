CREATE TABLE role (
    workspace {blob} NOT NULL, id {blob} NOT NULL, name {text} NOT NULL, settings {text} NOT NULL, created_at {int} NOT NULL,
    PRIMARY KEY (workspace, id), UNIQUE (workspace, name)
){clustered};
ALTER TABLE users ADD COLUMN roles {text} NOT NULL DEFAULT '[]';
ALTER TABLE client ADD COLUMN roles {text} NOT NULL DEFAULT '[]';
