-- What a reviewer said, and whether the SQL still runs on the copy in service.
ALTER TABLE verified_queries ADD COLUMN review_comment TEXT;
ALTER TABLE verified_queries ADD COLUMN last_checked_at TIMESTAMPTZ;
ALTER TABLE verified_queries ADD COLUMN check_error TEXT;
