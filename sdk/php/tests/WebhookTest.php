<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

use GuzzleHttp\Psr7\Request;
use HeraldPush\Exception\InvalidWebhook;
use HeraldPush\Webhook;
use PHPUnit\Framework\TestCase;

final class WebhookTest extends TestCase
{
    // The example of the specification of Standard Webhooks 1.0, with a body of ours.
    private const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const OTHER = 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    private const BODY = '{"type":"events","timestamp":"2026-11-21T09:30:00Z","data":{"events":[{"id":"1","message_id":"250012744206516224"}]}}';
    private const NOW = 1795253400;

    /** @return array<string, string> */
    private static function headers(string $secret = self::SECRET, string $body = self::BODY, int $at = self::NOW): array
    {
        $key = base64_decode(substr($secret, 6), true);
        return [
            'Webhook-Id' => 'evt_1',
            'Webhook-Timestamp' => (string) $at,
            'Webhook-Signature' => 'v1,' . base64_encode(hash_hmac('sha256', "evt_1.$at.$body", (string) $key, true)),
        ];
    }

    public function testTheExampleOfTheSpecification(): void
    {
        $headers = [
            'webhook-id' => 'msg_p5jXN8AQM9LWM0D4loKWxJek',
            'webhook-timestamp' => '1614265330',
            'webhook-signature' => 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
        ];
        $this->expectExceptionMessage('not what this version understands'); // and not: no signature fits
        Webhook::verify('{"test": 2432232314}', $headers, self::SECRET, 1614265330);
    }

    public function testGood(): void
    {
        foreach ([self::SECRET, [self::OTHER, self::SECRET], ['not base64 %', self::SECRET]] as $secrets) {
            $hook = Webhook::verify(self::BODY, self::headers(), $secrets, self::NOW + 300);
            self::assertSame('evt_1', $hook['id']);
            self::assertSame('250012744206516224', $hook['data']['events'][0]['message_id']);
        }
        $request = new Request('POST', '/hooks', self::headers(), self::BODY);
        self::assertSame('events', Webhook::verifyRequest($request, self::SECRET, self::NOW)['type']);
    }

    public function testSeveralSignatures(): void
    {
        $headers = self::headers();
        $headers['Webhook-Signature'] = 'v1a,AAAA v1,AAAA ' . $headers['Webhook-Signature'];
        self::assertSame('events', Webhook::verify(self::BODY, $headers, self::SECRET, self::NOW)['type']);
    }

    /** @return array<string, array{string, array<string, string>, string, string}> */
    public static function bad(): array
    {
        $without = static fn (string $name): array => array_diff_key(self::headers(), [$name => '']);
        return [
            'another body' => [self::BODY . ' ', self::headers(), self::SECRET, 'no signature'],
            'another secret' => [self::BODY, self::headers(), self::OTHER, 'no signature'],
            'no secret' => [self::BODY, self::headers(), '', 'no signature'],
            'an empty signature' => [self::BODY, ['Webhook-Signature' => 'v1,'] + self::headers(), self::SECRET, 'no signature'],
            'another version' => [self::BODY, ['Webhook-Signature' => 'v2' . substr(self::headers()['Webhook-Signature'], 2)] + self::headers(), self::SECRET, 'no signature'],
            'old' => [self::BODY, self::headers(at: self::NOW - 301), self::SECRET, 'compare the clocks'],
            'of the future' => [self::BODY, self::headers(at: self::NOW + 301), self::SECRET, 'compare the clocks'],
            'no time' => [self::BODY, ['Webhook-Timestamp' => 'now'] + self::headers(), self::SECRET, 'has no webhook-id'],
            'no ID' => [self::BODY, $without('Webhook-Id'), self::SECRET, 'has no webhook-id'],
            'no signature' => [self::BODY, $without('Webhook-Signature'), self::SECRET, 'has no webhook-id'],
            'not JSON' => ['x', self::headers(body: 'x'), self::SECRET, 'understands'],
        ];
    }

    /**
     * @dataProvider bad
     *
     * @param array<string, string> $headers
     */
    public function testBad(string $body, array $headers, string $secret, string $why): void
    {
        $this->expectException(InvalidWebhook::class);
        $this->expectExceptionMessage($why);
        Webhook::verify($body, $headers, $secret, self::NOW);
    }
}
