-- What the price of a code is set aside under, and when it was begun to be sent with that.
ALTER TABLE code_sends ADD COLUMN reservation TEXT;
ALTER TABLE code_sends ADD COLUMN taken_up_at {int};
