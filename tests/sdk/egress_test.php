<?php
// Twilio's own PHP library through the egress. tests/sdk/egress starts it with the sandbox behind it and reads what is printed
// here: one line for each claim. egress_test.mjs makes the same claims in Node, in the same order.
//
//     WAY=base-url      an HTTP client of the application's leads to the egress
//     WAY=environment   nothing is set: the environment names the egress as a proxy, and php.ini its authority
require __DIR__ . '/claims.php';

use Twilio\Exceptions\RestException;
use Twilio\Rest\Client;

const MAGIC = '+15005550006';
const TO = '+14155550122';
foreach (['SANDBOX', 'WAY', 'SECRET', 'KEY', 'LIMIT', 'REVOKE', 'FOLDER'] as $name) {
    define($name, getenv($name));
}
define('ACCOUNT', getenv('TWILIO_ACCOUNT_SID'));
define('TOKEN', getenv('TWILIO_AUTH_TOKEN'));

function connect(string $secret, string $user = ACCOUNT): Client
{
    return new Client($user, $secret, ACCOUNT, null, WAY === 'base-url' ? new Ringfence() : null);
}

function messages(Client $client): void
{
    $sent = $client->messages->create(TO, ['from' => MAGIC, 'body' => 'Through the egress']);
    say(preg_match('/^SM[0-9a-f]{32}$/', $sent->sid ?? '') && $sent->accountSid === ACCOUNT, 'a message is sent');
    say($client->messages($sent->sid)->fetch()->body === 'Through the egress', 'it is fetched by its SID');
    say(at_twilio($sent->sid)['body'] === 'Through the egress', 'Twilio has it under the real account');
    $by_key = connect(SECRET, KEY)->messages($sent->sid)->fetch();
    say($by_key->sid === $sent->sid, "the credential's own SID is a user name too");
    $umlauts = $client->messages->create(TO, ['from' => MAGIC, 'body' => 'Grüße & 100 % + 漢字 😀']);
    say(at_twilio($umlauts->sid)['body'] === 'Grüße & 100 % + 漢字 😀', 'every character arrives');
    $send = fn (string $to, string $body, $by = null) => fn () => ($by ?? $client)->messages->create($to, ['from' => MAGIC, 'body' => $body]);
    refused('a message without a body is refused by Twilio', 400, 21602, $send(TO, ''));
    refused('a number of no country is refused before', 403, 84022, $send('+15005550001', 'x'));
    refused('a body of 1,601 characters is refused by Twilio', 400, 21617, $send(TO, str_repeat('x', 1601)));
    refused('a message that is not there', 404, 20404, fn () => $client->messages('SM' . str_repeat('0', 32))->fetch());
    refused('a wrong secret', 401, 20003, $send(TO, 'x', connect('wrong')));
    refused("Twilio's own token is worth nothing here", 401, 20003, fn () => connect(TOKEN)->messages($sent->sid)->fetch());
    $other = $client->api->v2010->accounts('AC' . str_repeat('1', 32));
    refused('another account is out of scope', 403, 84010, $send(TO, 'x', $other));
}

function lists(Client $client): void
{
    for ($i = 0; $i < 7; $i++) {
        $client->messages->create('+14155550133', ['from' => MAGIC, 'body' => "page $i"]);
    }
    $bodies = array_map(fn ($it) => $it->body, $client->messages->read(['to' => '+14155550133'], null, 2));
    sort($bodies);
    $wanted = array_map(fn ($i) => "page $i", range(0, 6));
    say($bodies === $wanted, 'seven messages come over pages of two, each once', $bodies);
    for ($i = 0; $i < 5; $i++) {
        $client->messaging->v1->services->create("service $i");
    }
    $names = array_map(fn ($it) => $it->friendlyName, $client->messaging->v1->services->read(null, 2));
    sort($names);
    $wanted = array_map(fn ($i) => "service $i", range(0, 4));
    say($names === $wanted, 'services come over pages whose links are absolute', $names);
    $found = $client->lookups->v2->phoneNumbers('+14155550100')->fetch();
    say($found->valid === true && $found->countryCode === 'US', 'a number is looked up on another host');
}

function pictures(Client $client): void
{
    $media = array_map(fn ($i) => "https://example.com/$i.png", range(0, 9));
    $sent = $client->messages->create(TO, ['from' => MAGIC, 'body' => str_repeat('x', 1600), 'mediaUrl' => $media]);
    $made = str_starts_with($sent->sid, 'MM') && at_twilio($sent->sid)['num_media'] === '10';
    say($made, 'a message of ten pictures and 1,600 characters is sent');
    $media = $client->messages($sent->sid)->media->read();
    say(count($media) === 10, 'its media are listed');
    $path = preg_replace('/\.json$/', '', $media[0]->uri);
    // The library's own way to ask for anything; what it got is nowhere but in its description.
    $content = $client->request('GET', "https://api.twilio.com$path");
    $direct = ask(SANDBOX . "/api.twilio.com$path", ['Authorization: ' . login(ACCOUNT, TOKEN)], $answered);
    $right = $content->getStatusCode() === 200 && (string) $content === "[Response] HTTP 200 $direct";
    say($right, 'a picture is read, byte for byte', $content->getStatusCode());
    $types = preg_grep('/^content-type:/i', $answered);
    $type = trim(explode(':', reset($types), 2)[1]);
    say(trim($content->getHeaders()['content-type'] ?? '') === $type, 'and is what it was');
}

function calls(Client $client): void
{
    $called = $client->calls->create(TO, MAGIC, ['twiml' => '<Response><Say>Hello</Say></Response>']);
    say(preg_match('/^CA[0-9a-f]{32}$/', $called->sid) && $called->status === 'queued', 'a call is made');
    say($client->calls($called->sid)->update(['status' => 'completed'])->sid === $called->sid, 'it is ended');
    $foreign = ['url' => 'https://evil.example/dial'];
    refused('instructions from elsewhere are refused', 403, 84020, fn () => $client->calls->create(TO, MAGIC, $foreign));
}

function secrets(Client $client): void
{
    $account = $client->api->v2010->accounts(ACCOUNT)->fetch();
    say($account->status === 'active' && !$account->authToken, 'the account is read, and its token is not in it');
    refused('an account is not made', 403, 84016, fn () => $client->api->v2010->accounts->create());
    refused('a key is not made', 403, 84016, fn () => $client->newKeys->create());
    refused('a token for the edge is not made', 403, 84016, fn () => $client->tokens->create());
    refused('a second auth token is not made', 403, 84016, fn () => $client->accounts->v1->secondaryAuthToken()->create());
}

function limit(Client $client): void
{
    $error = null;
    for ($i = 0; $i < 400 && !$error; $i++) {
        try {
            $client->messages->create(TO, ['from' => MAGIC, 'body' => 'One more']);
        } catch (RestException $raised) {
            $error = $raised;
        }
    }
    $right = $error && in_array([$error->getStatusCode(), $error->getCode()], [[429, 84032], [403, 84030], [403, 84031]], true);
    say($right, 'at the limit the library raises an error', (string) $error);
    say($error && str_contains($error->getMessage(), LIMIT), 'which names the limit', (string) $error);
    say(str_starts_with($client->messages->read([], 1)[0]->sid, 'SM'), 'what costs nothing still passes');
}

function revoked(Client $client): void
{
    [$newest] = $client->messages->read([], 1);
    $silent = [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']];
    proc_close(proc_open(json_decode(REVOKE, true), $silent, $pipes, FOLDER));
    $again = fn () => $client->messages($newest->sid)->fetch();
    refused('a revoked credential is refused at its next request', 401, 20003, $again);
}

// ---------------------------------------------------------------- helpers

/** What Twilio itself has of a message, asked without the egress. */
function at_twilio(string $sid): array
{
    $url = SANDBOX . '/api.twilio.com/2010-04-01/Accounts/' . ACCOUNT . "/Messages/$sid.json";
    return json_decode(ask($url, ['Authorization: ' . login(ACCOUNT, TOKEN)]), true);
}

function login(string $user, string $password): string
{
    return 'Basic ' . base64_encode("$user:$password");
}

$topics = [];
foreach (['messages', 'lists', 'pictures', 'calls', 'secrets', 'limit', 'revoked'] as $topic) {
    $topics[$topic] = fn () => $topic(connect(SECRET));
}
tell($topics);
