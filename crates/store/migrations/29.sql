-- In which session a factor was begun that waits for its first code: it waits in no other.
ALTER TABLE factors ADD COLUMN session TEXT;
