-- Where the package was fetched, and the digest of what came from there; null for one from this machine.
ALTER TABLE app ADD COLUMN origin TEXT;
ALTER TABLE app ADD COLUMN origin_digest TEXT;

PRAGMA user_version = 3;
