# How the scripts of this folder say what they claim. claims.mjs is the same for Node. LED is the HTTP client of our pages: see
# languages.py.
require 'json'
require 'net/http'
require 'twilio-ruby'
require ENV.fetch('LED')

# One claim; `detail` helps whoever reads that it does not hold.
def say(right, claim, detail = '')
  puts(right ? "ok #{claim}" : "FAIL #{claim}: #{detail.to_s.tr("\n", ' ')}")
end

# The call fails with Twilio's own error: this status, and this code unless it is nil.
def refused(claim, status, code)
  yield
  say(false, claim, 'it went through')
rescue Twilio::REST::RestError => e
  say(e.status_code == status && (code ? e.code == code : e.code.positive?), claim, e.message)
end

# What somebody else than the library gets.
def ask(url, headers = { 'Accept' => 'application/json' })
  uri = URI(url)
  Net::HTTP.start(uri.host, uri.port, nil) { |http| http.get(uri.request_uri, headers) }
end

# Told to its end whatever happens.
def tell(topic)
  yield
rescue StandardError => e
  say(false, "#{topic} is told to its end", e.full_message(highlight: false))
end

$stdout.sync = true
