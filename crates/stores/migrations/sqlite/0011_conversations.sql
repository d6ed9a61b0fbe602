-- What a follow-up was taken to ask, and conversations that were deleted: their questions stay in the history.
ALTER TABLE queries ADD COLUMN understood_as TEXT;
ALTER TABLE conversations ADD COLUMN deleted_at TEXT;
