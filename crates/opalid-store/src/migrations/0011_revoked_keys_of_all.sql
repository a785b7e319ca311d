CREATE TABLE revoked_thumbprint (
    kid {text} NOT NULL PRIMARY KEY, revoked_at {int} NOT NULL
){clustered};
INSERT INTO revoked_thumbprint (kid, revoked_at) SELECT kid, min(revoked_at) FROM revoked_key GROUP BY kid;
