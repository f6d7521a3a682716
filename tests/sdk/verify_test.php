<?php
// Twilio's own PHP library against a Verify: the sandbox's, or that of Ringfence's second factor. tests/sdk/verify starts both
// and wants the same claims from them. verify_test.mjs makes the same ones in Node, in the same order.
require __DIR__ . '/claims.php';

use Twilio\Rest\Client;

const TO = '+14155550181';
define('SANDBOX', getenv('SANDBOX'));
define('SERVICE', getenv('SERVICE'));
define('ACCOUNT', getenv('ACCOUNT'));

function connect(string $secret): Client
{
    return new Client(getenv('USER_NAME'), $secret, ACCOUNT, null, new Ringfence());
}

$client = connect(getenv('SECRET'));
$service = $client->verify->v2->services(SERVICE);

function verifications(Client $client, $service): void
{
    $fetched = $service->fetch();
    say($fetched->sid === SERVICE && $fetched->accountSid === ACCOUNT && $fetched->codeLength === 6, 'the service is fetched');
    $listed = array_map(fn ($it) => $it->sid, $client->verify->v2->services->read());
    say(in_array(SERVICE, $listed, true), 'the service is listed');
    $started = $service->verifications->create(TO, 'sms');
    $right = preg_match('/^VE[0-9a-f]{32}$/', $started->sid) && $started->status === 'pending' && $started->valid === false;
    say($right, 'a verification begins');
    say($started->to === TO && $started->channel === 'sms' && $started->serviceSid === SERVICE, 'it says where its code goes');
    say($started->dateCreated instanceof DateTime, 'the library reads the date of its start');
    $sends = $started->sendCodeAttempts;
    say(count($sends) === 1 && str_starts_with($sends[0]['attempt_sid'], 'VL'), 'it has one attempt');
    $code = code_on(TO);
    say(preg_match('/^\d{6}$/', $code), 'its code of six digits is on the phone', $code);
    say($service->verifications($started->sid)->fetch()->status === 'pending', 'it is fetched by its SID');
    say($service->verifications(TO)->fetch()->sid === $started->sid, 'it is fetched by its number');
    $wrong = $service->verificationChecks->create(['to' => TO, 'code' => other($code)]);
    $right = $wrong->status === 'pending' && $wrong->valid === false && $wrong->sid === $started->sid;
    say($right, 'a wrong code is no error and not valid');
    $approved = $service->verificationChecks->create(['verificationSid' => $started->sid, 'code' => $code]);
    say($approved->status === 'approved' && $approved->valid === true, 'the right code is approved');
    refused('a code is good for one check', 404, 20404, fn () => $service->verificationChecks->create(['to' => TO, 'code' => $code]));
    refused('what is approved is not there any more', 404, 20404, fn () => $service->verifications($started->sid)->fetch());

    $second = $service->verifications->create('+14155550182', 'sms');
    $canceled = $service->verifications($second->sid)->update('canceled');
    say($canceled->status === 'canceled' && $canceled->valid === false, 'a verification is canceled');
    $nothing = ['to' => '+14155550182', 'code' => '000000'];
    refused('after that there is nothing to check', 404, 20404, fn () => $service->verificationChecks->create($nothing));
    $third = $service->verifications->create('+14155550183', 'sms');
    refused('a status that none has', 400, 60200, fn () => $service->verifications($third->sid)->update('expired'));

    $tried = $service->verifications->create('+14155550184', 'sms');
    $found = code_on('+14155550184');
    for ($i = 0; $i < 5; $i++) {
        $service->verificationChecks->create(['to' => '+14155550184', 'code' => other($found)]);
    }
    $sixth = ['verificationSid' => $tried->sid, 'code' => $found];
    refused('a sixth check is one too many, though the code is right', 429, 60202, fn () => $service->verificationChecks->create($sixth));
    refused('and nothing is begun in its place', 429, 60202, fn () => $service->verifications->create('+14155550184', 'sms'));

    $begin = fn (string $to, string $channel, array $more = []) => fn () => $service->verifications->create($to, $channel, $more);
    refused('a number that is none is not verified', 400, 60200, $begin('12', 'sms'));
    refused('nor is one that lacks a digit', 400, 60200, $begin('+1415555018', 'sms'));
    refused('a channel that does not exist', 400, 60200, $begin(TO, 'pigeon'));
    refused('a channel that is not there', 403, 60223, $begin(TO, 'email'));
    refused("a code of one's own where none is allowed", 403, 60204, $begin(TO, 'sms', ['customCode' => '1234']));
    refused('a name that looks like a number', 400, 60200, $begin(TO, 'sms', ['customFriendlyName' => '555 0123']));
    refused('a check without a target', 400, 60221, fn () => $service->verificationChecks->create(['code' => '123456']));
    $never = ['to' => '+14155550185', 'code' => '123456'];
    refused('a check of nothing', 404, 20404, fn () => $service->verificationChecks->create($never));
    $nowhere = $client->verify->v2->services('VA' . str_repeat('0', 32));
    refused('a service that is not there', 404, 20404, fn () => $nowhere->verifications->create(TO, 'sms'));
    refused('a wrong secret', 401, 20003, fn () => connect('wrong')->verify->v2->services(SERVICE)->fetch());
}

function limits(Client $client, $service): void
{
    $limit = $service->rateLimits->create('address', ['description' => 'of the network']);
    $right = str_starts_with($limit->sid, 'RK') && $limit->uniqueName === 'address' && $limit->description === 'of the network';
    say($right, 'a limit is made');
    refused('its name is taken', 400, 60208, fn () => $service->rateLimits->create('address'));
    refused('a name with spaces', 400, 60209, fn () => $service->rateLimits->create('end user'));
    $one = $service->rateLimits($limit->sid);
    $bucket = $one->buckets->create(1, 3600);
    say(str_starts_with($bucket->sid, 'BL') && $bucket->max === 1 && $bucket->interval === 3600, 'a bucket is made');
    refused('its interval is taken', 400, 60211, fn () => $one->buckets->create(2, 3600));
    $limited = fn (string $to, string $name = 'address') =>
        $service->verifications->create($to, 'sms', ['rateLimits' => [$name => '192.0.2.7']]);
    refused('a limit that is not there holds nobody', 400, 60200, fn () => $limited('+14155550186', 'adress'));
    say($limited('+14155550186')->status === 'pending', 'one start fits into it');
    refused('a second one does not', 429, 20429, fn () => $limited('+14155550187'));
    say($one->buckets($bucket->sid)->update(['max' => 5])->max === 5, 'the bucket is changed');
    say($limited('+14155550187')->status === 'pending', 'then it fits');
    say($one->update(['description' => 'x'])->description === 'x', 'the limit is changed');
    say(count($service->rateLimits->read()) === 1 && count($one->buckets->read()) === 1, 'both are listed');
    say($one->buckets($bucket->sid)->delete(), 'the bucket is removed');
    say($one->delete(), 'the limit is removed');
    refused('then it is not there', 404, 20404, fn () => $one->fetch());
}

function attempts(Client $client): void
{
    $every = $client->verify->v2->verificationAttempts;
    $found = $every->read(['verifyServiceSid' => SERVICE], null, 3);
    $sids = array_unique(array_map(fn ($it) => $it->sid, $found));
    say(count($found) === 6 && count($sids) === 6, 'six attempts come over pages of three', count($found));
    $converted = $every->read(['verifyServiceSid' => SERVICE, 'status' => 'converted']);
    say(count($converted) === 1 && $converted[0]->channelData['to'] === TO, 'one of them was entered');
    $one = $client->verify->v2->verificationAttempts($converted[0]->sid)->fetch();
    say($one->conversionStatus === 'converted' && $one->verificationSid === $converted[0]->verificationSid, 'it is fetched');
    $summary = $client->verify->v2->verificationAttemptsSummary()->fetch(['verifyServiceSid' => SERVICE]);
    $sums = [$summary->totalAttempts, $summary->totalConverted, $summary->totalUnconverted];
    say($sums === [6, 1, 5], 'they are summed up', $sums);
}

// ---------------------------------------------------------------- helpers

/** The code in the newest text on a phone, as soon as there is one. */
function code_on(string $phone): string
{
    for ($i = 0; $i < 200; $i++) {
        $phones = json_decode(ask(SANDBOX . '/_sandbox/phones?number=' . urlencode($phone)), true)['phones'];
        $texts = array_filter($phones[0]['thread'] ?? [], fn ($it) => $it['kind'] === 'text');
        if (preg_match_all('/\b\d{6}\b/', implode("\n", array_column($texts, 'body')), $codes)) {
            return end($codes[0]);
        }
        usleep(50_000);
    }
    return 'none';
}

function other(string $code): string
{
    return $code === '123456' ? '654321' : '123456';
}

tell([
    'everything' => function () use ($client, $service) {
        verifications($client, $service);
        limits($client, $service);
        attempts($client);
    },
]);
