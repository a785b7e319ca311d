CREATE TABLE holder (
    id {blob} NOT NULL PRIMARY KEY, length_ms {int} NOT NULL, renewals {int} NOT NULL, incarnation {blob}, acked {int}
){clustered};
ALTER TABLE feed_head ADD COLUMN tag_key {blob};
