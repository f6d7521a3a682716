-- What is kept of requests to Twilio beside what is kept of each: whose credential asked, what was set aside, and which limits
-- refused it or would have. Names of limits are a list of JSON.
ALTER TABLE requests ADD COLUMN credential TEXT;
ALTER TABLE requests ADD COLUMN credential_name TEXT;
ALTER TABLE requests ADD COLUMN worst {int};
ALTER TABLE requests ADD COLUMN refused_by TEXT;
ALTER TABLE requests ADD COLUMN would_refuse TEXT;
ALTER TABLE requests ADD COLUMN code {int};
