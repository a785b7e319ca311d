ALTER TABLE cell ADD COLUMN issuer {text};
