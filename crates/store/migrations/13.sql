-- By which kind of factor a device was trusted. Of those there are nobody knows, so it was the weakest: where that does not do,
-- they are asked once.
ALTER TABLE devices ADD COLUMN kind TEXT NOT NULL DEFAULT 'phone';
