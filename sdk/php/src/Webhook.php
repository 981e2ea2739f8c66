<?php

declare(strict_types=1);

namespace HeraldPush;

use HeraldPush\Exception\InvalidWebhook;
use Psr\Http\Message\RequestInterface;

/** Verifies requests of the server, as Standard Webhooks 1.0 says. */
final class Webhook
{
    /** Seconds that the clocks may differ. Older requests are refused: somebody may have recorded them. */
    public const TOLERANCE = 300;

    /**
     * Checks that a request was signed with one of the secrets ("whsec_…"), and
     * gives what it brings: id (of the request: the second one with the same may
     * be answered with 200 and nothing be done), type, timestamp and data, which
     * for the type "events" has app_key, webhook_id and events.
     *
     *     $hook = Webhook::verify(file_get_contents('php://input'), getallheaders(), $secret);
     *     foreach ($hook['data']['events'] as $event) { … }
     *
     * @param string                            $body    As it came, byte for byte.
     * @param array<string, string|list<string>> $headers In any case.
     * @param string|list<string>               $secrets During a rotation both.
     *
     * @return array{id: string, type: string, timestamp: string, data: array<string, mixed>}
     *
     * @throws InvalidWebhook if it cannot be trusted
     */
    public static function verify(string $body, array $headers, string|array $secrets, ?int $now = null): array
    {
        $headers = array_change_key_case($headers, \CASE_LOWER);
        $header = static function (string $name) use ($headers): string {
            $value = $headers[$name] ?? '';
            return is_array($value) ? (string) (array_values($value)[0] ?? '') : (string) $value;
        };
        [$id, $stamp, $given] = [$header('webhook-id'), $header('webhook-timestamp'), $header('webhook-signature')];
        if ($id === '' || $given === '' || !ctype_digit($stamp) || strlen($stamp) > 12) {
            throw new InvalidWebhook('herald: the request has no webhook-id, webhook-timestamp and webhook-signature');
        }
        if (abs(($now ?? time()) - (int) $stamp) > self::TOLERANCE) {
            throw new InvalidWebhook('herald: the webhook was signed too long ago, or in the future; compare the clocks');
        }
        if (!self::signed("$id.$stamp.$body", $given, (array) $secrets)) {
            throw new InvalidWebhook('herald: no signature of the webhook fits; check the secret, and that the body is as it came');
        }
        $hook = json_decode($body, true, 512, \JSON_BIGINT_AS_STRING);
        if (!is_array($hook) || !is_string($hook['type'] ?? null) || !is_array($hook['data'] ?? null)) {
            throw new InvalidWebhook('herald: the body of the webhook is not what this version understands');
        }
        return ['id' => $id] + $hook;
    }

    /**
     * The same for a PSR-7 request, as frameworks have it.
     *
     * @param string|list<string> $secrets
     *
     * @return array{id: string, type: string, timestamp: string, data: array<string, mixed>}
     *
     * @throws InvalidWebhook if it cannot be trusted
     */
    public static function verifyRequest(RequestInterface $request, string|array $secrets, ?int $now = null): array
    {
        return self::verify((string) $request->getBody(), $request->getHeaders(), $secrets, $now);
    }

    /** @param array<string> $secrets */
    private static function signed(string $content, string $given, array $secrets): bool
    {
        foreach ($secrets as $secret) {
            $key = base64_decode(str_starts_with($secret, 'whsec_') ? substr($secret, 6) : $secret, true);
            if ($key === false || $key === '') {
                continue;
            }
            $want = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
            foreach (explode(' ', $given) as $signature) {
                if (hash_equals($want, $signature)) {
                    return true;
                }
            }
        }
        return false;
    }
}
