<?php
// How the scripts of this folder say what they claim. claims.mjs is the same for Node. SDK_PHP is the folder whose
// vendor/autoload.php composer made (`composer require twilio/sdk`), LED the HTTP client of our pages: see languages.py.
require getenv('SDK_PHP') . '/vendor/autoload.php';
require getenv('LED');

use Twilio\Exceptions\RestException;

/** One claim; `$detail` helps whoever reads that it does not hold. */
function say($right, string $claim, $detail = ''): void
{
    $detail = strtr(is_string($detail) ? $detail : json_encode($detail), "\n", ' ');
    echo $right ? "ok $claim\n" : "FAIL $claim: $detail\n";
}

/** The call fails with Twilio's own error: this status, and this code unless it is null. */
function refused(string $claim, int $status, ?int $code, callable $call): void
{
    try {
        $call();
        say(false, $claim, 'it went through');
    } catch (RestException $error) {
        $right = $error->getStatusCode() === $status && ($code === null ? $error->getCode() > 0 : $error->getCode() === $code);
        say($right, $claim, "{$error->getStatusCode()} {$error->getCode()} {$error->getMessage()}");
    }
}

/** What somebody else than the library gets. */
function ask(string $url, array $headers = ['Accept: application/json'], ?array &$answered = null): string
{
    $context = stream_context_create(['http' => ['header' => $headers]]);
    $body = file_get_contents($url, false, $context);
    $answered = $http_response_header;
    return $body;
}

/** The topics, each told to its end whatever happens. */
function tell(array $topics): void
{
    foreach ($topics as $name => $topic) {
        try {
            $topic();
        } catch (Throwable $error) {
            say(false, "$name is told to its end", (string) $error);
        }
    }
}
