CREATE TABLE waiting (
    workspace {blob} NOT NULL, part {int} NOT NULL, n {int} NOT NULL, PRIMARY KEY (workspace, part)
){clustered};
ALTER TABLE request ADD COLUMN part {int};
