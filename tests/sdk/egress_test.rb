# Twilio's own Ruby library through the egress. tests/sdk/egress starts it with the sandbox behind it and reads what is printed
# here: one line for each claim. egress_test.mjs makes the same claims in Node, in the same order.
#
#     WAY=base-url      an HTTP client of the application's leads to the egress
#     WAY=environment   nothing is set: the environment names the egress as a proxy, and its authority
require_relative 'claims'

EGRESS, SANDBOX, WAY, SECRET, KEY, LIMIT, REVOKE, FOLDER = ENV.values_at('EGRESS', 'SANDBOX', 'WAY', 'SECRET', 'KEY', 'LIMIT', 'REVOKE', 'FOLDER')
ACCOUNT, TOKEN = ENV.values_at('TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN')
MAGIC = '+15005550006'.freeze
TO = '+14155550122'.freeze

def main
  %i[messages lists pictures calls secrets limit revoked].each do |topic|
    tell(topic) { method(topic).call(connect(SECRET)) }
  end
end

def connect(secret, user = ACCOUNT)
  Twilio::REST::Client.new(user, secret, ACCOUNT, nil, WAY == 'base-url' ? Ringfence.new : nil)
end

def messages(client)
  sent = client.messages.create(from: MAGIC, to: TO, body: 'Through the egress')
  say(sent.sid =~ /\ASM[0-9a-f]{32}\z/ && sent.account_sid == ACCOUNT, 'a message is sent')
  say(client.messages(sent.sid).fetch.body == 'Through the egress', 'it is fetched by its SID')
  say(at_twilio(sent.sid)['body'] == 'Through the egress', 'Twilio has it under the real account')
  by_key = connect(SECRET, KEY).messages(sent.sid).fetch
  say(by_key.sid == sent.sid, "the credential's own SID is a user name too")
  umlauts = client.messages.create(from: MAGIC, to: TO, body: 'Grüße & 100 % + 漢字 😀')
  say(at_twilio(umlauts.sid)['body'] == 'Grüße & 100 % + 漢字 😀', 'every character arrives')
  send = ->(to, body, by = client) { by.messages.create(from: MAGIC, to: to, body: body) }
  refused('a message without a body is refused by Twilio', 400, 21602) { send[TO, ''] }
  refused('a number of no country is refused before', 403, 84022) { send['+15005550001', 'x'] }
  refused('a body of 1,601 characters is refused by Twilio', 400, 21617) { send[TO, 'x' * 1601] }
  refused('a message that is not there', 404, 20404) { client.messages("SM#{'0' * 32}").fetch }
  refused('a wrong secret', 401, 20003) { send[TO, 'x', connect('wrong')] }
  refused("Twilio's own token is worth nothing here", 401, 20003) { connect(TOKEN).messages(sent.sid).fetch }
  other = client.api.v2010.accounts("AC#{'1' * 32}")
  refused('another account is out of scope', 403, 84010) { send[TO, 'x', other] }
end

def lists(client)
  7.times { |i| client.messages.create(from: MAGIC, to: '+14155550133', body: "page #{i}") }
  bodies = client.messages.list(to: '+14155550133', page_size: 2).map(&:body).sort
  say(bodies == (0...7).map { |i| "page #{i}" }, 'seven messages come over pages of two, each once', bodies)
  5.times { |i| client.messaging.v1.services.create(friendly_name: "service #{i}") }
  names = client.messaging.v1.services.list(page_size: 2).map(&:friendly_name).sort
  say(names == (0...5).map { |i| "service #{i}" }, 'services come over pages whose links are absolute', names)
  found = client.lookups.v2.phone_numbers('+14155550100').fetch
  say(found.valid == true && found.country_code == 'US', 'a number is looked up on another host')
end

def pictures(client)
  media_url = (0...10).map { |i| "https://example.com/#{i}.png" }
  sent = client.messages.create(from: MAGIC, to: TO, body: 'x' * 1600, media_url: media_url)
  made = sent.sid.start_with?('MM') && at_twilio(sent.sid)['num_media'] == '10'
  say(made, 'a message of ten pictures and 1,600 characters is sent')
  media = client.messages(sent.sid).media.list
  say(media.size == 10, 'its media are listed')
  path = media[0].uri.sub(/\.json\z/, '')
  # The library reads every answer as JSON; the connection that it made is there for all else.
  host = WAY == 'base-url' ? "#{EGRESS}/api.twilio.com" : 'https://api.twilio.com'
  content = client.http_client.connection.get(host + path)
  direct = ask("#{SANDBOX}/api.twilio.com#{path}", { 'Authorization' => login(ACCOUNT, TOKEN) })
  say(content.status == 200 && content.body == direct.body, 'a picture is read, byte for byte', content.status)
  say(content.headers['content-type'] == direct['content-type'], 'and is what it was')
end

def calls(client)
  called = client.calls.create(from: MAGIC, to: TO, twiml: '<Response><Say>Hello</Say></Response>')
  say(called.sid =~ /\ACA[0-9a-f]{32}\z/ && called.status == 'queued', 'a call is made')
  say(client.calls(called.sid).update(status: 'completed').sid == called.sid, 'it is ended')
  refused('instructions from elsewhere are refused', 403, 84020) { client.calls.create(from: MAGIC, to: TO, url: 'https://evil.example/dial') }
end

def secrets(client)
  account = client.api.v2010.accounts(ACCOUNT).fetch
  say(account.status == 'active' && account.auth_token.to_s.empty?, 'the account is read, and its token is not in it')
  refused('an account is not made', 403, 84016) { client.api.v2010.accounts.create }
  refused('a key is not made', 403, 84016) { client.new_keys.create }
  refused('a token for the edge is not made', 403, 84016) { client.tokens.create }
  refused('a second auth token is not made', 403, 84016) { client.accounts.v1.secondary_auth_token.create }
end

def limit(client)
  error = nil
  400.times do
    client.messages.create(from: MAGIC, to: TO, body: 'One more')
  rescue Twilio::REST::RestError => error
    break
  end
  right = error && [[429, 84032], [403, 84030], [403, 84031]].include?([error.status_code, error.code])
  say(right, 'at the limit the library raises an error', error)
  say(error&.message&.include?(LIMIT), 'which names the limit', error)
  say(client.messages.list(limit: 1)[0].sid.start_with?('SM'), 'what costs nothing still passes')
end

def revoked(client)
  newest = client.messages.list(limit: 1)[0]
  system(*JSON.parse(REVOKE), chdir: FOLDER, out: File::NULL, err: File::NULL)
  refused('a revoked credential is refused at its next request', 401, 20003) { client.messages(newest.sid).fetch }
end

# ---------------------------------------------------------------- helpers

# What Twilio itself has of a message, asked without the egress.
def at_twilio(sid)
  url = "#{SANDBOX}/api.twilio.com/2010-04-01/Accounts/#{ACCOUNT}/Messages/#{sid}.json"
  JSON.parse(ask(url, { 'Authorization' => login(ACCOUNT, TOKEN) }).body)
end

def login(user, password)
  "Basic #{["#{user}:#{password}"].pack('m0')}"
end

main
