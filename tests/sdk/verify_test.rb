# Twilio's own Ruby library against a Verify: the sandbox's, or that of Ringfence's second factor. tests/sdk/verify starts both
# and wants the same claims from them. verify_test.mjs makes the same ones in Node, in the same order.
require_relative 'claims'

SANDBOX, USER_NAME, SECRET, ACCOUNT, SERVICE = ENV.values_at('SANDBOX', 'USER_NAME', 'SECRET', 'ACCOUNT', 'SERVICE')
TO = '+14155550181'.freeze

def connect(secret)
  Twilio::REST::Client.new(USER_NAME, secret, ACCOUNT, nil, Ringfence.new)
end

def main
  client = connect(SECRET)
  service = client.verify.v2.services(SERVICE)
  tell('everything') do
    verifications(client, service)
    limits(service)
    attempts(client)
  end
end

def verifications(client, service)
  fetched = service.fetch
  say(fetched.sid == SERVICE && fetched.account_sid == ACCOUNT && fetched.code_length == 6, 'the service is fetched')
  say(client.verify.v2.services.list.map(&:sid).include?(SERVICE), 'the service is listed')
  started = service.verifications.create(to: TO, channel: 'sms')
  right = started.sid =~ /\AVE[0-9a-f]{32}\z/ && started.status == 'pending' && started.valid == false
  say(right, 'a verification begins')
  say(started.to == TO && started.channel == 'sms' && started.service_sid == SERVICE, 'it says where its code goes')
  say(started.date_created.is_a?(Time), 'the library reads the date of its start')
  sends = started.send_code_attempts
  say(sends.size == 1 && sends[0]['attempt_sid'].start_with?('VL'), 'it has one attempt')
  code = code_on(TO)
  say(code =~ /\A\d{6}\z/, 'its code of six digits is on the phone', code)
  say(service.verifications(started.sid).fetch.status == 'pending', 'it is fetched by its SID')
  say(service.verifications(TO).fetch.sid == started.sid, 'it is fetched by its number')
  checks = service.verification_checks
  wrong = checks.create(to: TO, code: other(code))
  say(wrong.status == 'pending' && wrong.valid == false && wrong.sid == started.sid, 'a wrong code is no error and not valid')
  right = checks.create(verification_sid: started.sid, code: code)
  say(right.status == 'approved' && right.valid == true, 'the right code is approved')
  refused('a code is good for one check', 404, 20404) { checks.create(to: TO, code: code) }
  refused('what is approved is not there any more', 404, 20404) { service.verifications(started.sid).fetch }

  second = service.verifications.create(to: '+14155550182', channel: 'sms')
  canceled = service.verifications(second.sid).update(status: 'canceled')
  say(canceled.status == 'canceled' && canceled.valid == false, 'a verification is canceled')
  refused('after that there is nothing to check', 404, 20404) { checks.create(to: '+14155550182', code: '000000') }
  third = service.verifications.create(to: '+14155550183', channel: 'sms')
  refused('a status that none has', 400, 60200) { service.verifications(third.sid).update(status: 'expired') }

  tried = service.verifications.create(to: '+14155550184', channel: 'sms')
  found = code_on('+14155550184')
  5.times { checks.create(to: '+14155550184', code: other(found)) }
  refused('a sixth check is one too many, though the code is right', 429, 60202) { checks.create(verification_sid: tried.sid, code: found) }
  start = ->(to, channel, **more) { service.verifications.create(to: to, channel: channel, **more) }
  refused('and nothing is begun in its place', 429, 60202) { start['+14155550184', 'sms'] }

  refused('a number that is none is not verified', 400, 60200) { start['12', 'sms'] }
  refused('nor is one that lacks a digit', 400, 60200) { start['+1415555018', 'sms'] }
  refused('a channel that does not exist', 400, 60200) { start[TO, 'pigeon'] }
  refused('a channel that is not there', 403, 60223) { start[TO, 'email'] }
  refused("a code of one's own where none is allowed", 403, 60204) { start[TO, 'sms', custom_code: '1234'] }
  refused('a name that looks like a number', 400, 60200) { start[TO, 'sms', custom_friendly_name: '555 0123'] }
  refused('a check without a target', 400, 60221) { checks.create(code: '123456') }
  refused('a check of nothing', 404, 20404) { checks.create(to: '+14155550185', code: '123456') }
  nowhere = client.verify.v2.services("VA#{'0' * 32}")
  refused('a service that is not there', 404, 20404) { nowhere.verifications.create(to: TO, channel: 'sms') }
  refused('a wrong secret', 401, 20003) { connect('wrong').verify.v2.services(SERVICE).fetch }
end

def limits(service)
  limit = service.rate_limits.create(unique_name: 'address', description: 'of the network')
  right = limit.sid.start_with?('RK') && limit.unique_name == 'address' && limit.description == 'of the network'
  say(right, 'a limit is made')
  refused('its name is taken', 400, 60208) { service.rate_limits.create(unique_name: 'address') }
  refused('a name with spaces', 400, 60209) { service.rate_limits.create(unique_name: 'end user') }
  one = service.rate_limits(limit.sid)
  bucket = one.buckets.create(max: 1, interval: 3600)
  say(bucket.sid.start_with?('BL') && bucket.max == 1 && bucket.interval == 3600, 'a bucket is made')
  refused('its interval is taken', 400, 60211) { one.buckets.create(max: 2, interval: 3600) }
  limited = lambda do |to, name = 'address'|
    service.verifications.create(to: to, channel: 'sms', rate_limits: { name => '192.0.2.7' })
  end
  refused('a limit that is not there holds nobody', 400, 60200) { limited['+14155550186', 'adress'] }
  say(limited['+14155550186'].status == 'pending', 'one start fits into it')
  refused('a second one does not', 429, 20429) { limited['+14155550187'] }
  say(one.buckets(bucket.sid).update(max: 5).max == 5, 'the bucket is changed')
  say(limited['+14155550187'].status == 'pending', 'then it fits')
  say(one.update(description: 'x').description == 'x', 'the limit is changed')
  say(service.rate_limits.list.size == 1 && one.buckets.list.size == 1, 'both are listed')
  say(one.buckets(bucket.sid).delete, 'the bucket is removed')
  say(one.delete, 'the limit is removed')
  refused('then it is not there', 404, 20404) { one.fetch }
end

def attempts(client)
  every = client.verify.v2.verification_attempts
  found = every.list(verify_service_sid: SERVICE, page_size: 3)
  say(found.size == 6 && found.map(&:sid).uniq.size == 6, 'six attempts come over pages of three', found.size)
  converted = every.list(verify_service_sid: SERVICE, status: 'converted')
  say(converted.size == 1 && converted[0].channel_data['to'] == TO, 'one of them was entered')
  one = client.verify.v2.verification_attempts(converted[0].sid).fetch
  say(one.conversion_status == 'converted' && one.verification_sid == converted[0].verification_sid, 'it is fetched')
  summary = client.verify.v2.verification_attempts_summary.fetch(verify_service_sid: SERVICE)
  sums = [summary.total_attempts, summary.total_converted, summary.total_unconverted]
  say(sums == [6, 1, 5], 'they are summed up', sums)
end

# ---------------------------------------------------------------- helpers

# The code in the newest text on a phone, as soon as there is one.
def code_on(phone)
  200.times do
    phones = JSON.parse(ask("#{SANDBOX}/_sandbox/phones?number=#{URI.encode_www_form_component(phone)}").body)['phones']
    texts = phones.empty? ? [] : phones[0]['thread'].select { |it| it['kind'] == 'text' }
    codes = texts.flat_map { |it| it['body'].scan(/\b\d{6}\b/) }
    return codes.last unless codes.empty?

    sleep(0.05)
  end
  'none'
end

def other(code)
  code == '123456' ? '654321' : '123456'
end

main
