-- The next secret of a trusted device, while it is on its way, and those that were used up or lost.
ALTER TABLE devices ADD COLUMN next_hash {bytes};
ALTER TABLE devices ADD COLUMN next_since {int};
ALTER TABLE devices ADD COLUMN used_up {bytes};
