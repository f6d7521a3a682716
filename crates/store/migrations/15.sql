-- Of what an answer of an application leads to: the call or message that was answered.
ALTER TABLE reservations ADD COLUMN parent TEXT;
