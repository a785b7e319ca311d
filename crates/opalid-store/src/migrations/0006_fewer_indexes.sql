DROP INDEX killed_expires;
DROP INDEX feed_at;
