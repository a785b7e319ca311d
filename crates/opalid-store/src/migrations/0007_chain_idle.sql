ALTER TABLE chain ADD COLUMN idle {int};
