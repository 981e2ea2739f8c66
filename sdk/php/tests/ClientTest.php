<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

use GuzzleHttp\Psr7\Response;
use HeraldPush\Audience;
use HeraldPush\Client;
use HeraldPush\Exception\InvalidArgument;
use HeraldPush\Exception\Refused;
use HeraldPush\Exception\Unreachable;
use HeraldPush\Message;
use HeraldPush\Options;
use PHPUnit\Framework\TestCase;

/** What the client sends, and what it makes of answers, without a server. */
final class ClientTest extends TestCase
{
    private const ACCEPTED = ['id' => '250012744206516224', 'target' => 1, 'unknown' => 0, 'stored' => true];

    /** @var list<float> */
    private array $waits = [];

    private function client(Answers $http, int $tries = 4): Client
    {
        $client = Client::forApp('http://push.example.com/', 'k3x9q0a7c5m2p8r1t6v4w0z2', 'secret', new Options(http: $http, tries: $tries));
        $client->sleepWith(function (float $seconds): void {
            $this->waits[] = $seconds;
        });
        return $client;
    }

    public function testSend(): void
    {
        $http = new Answers([Answers::json(202, self::ACCEPTED)]);
        $message = Message::to(Audience::alias('anna'))
            ->notify('Hello', 'How are you?')->notification(['badge' => 0])
            ->data(['order' => 7, 'price' => 1.0, 'name' => '新/闻'])->ttl(60)->priority('high')->collapseKey('c')->orderingKey('o')
            ->sendAt(new \DateTimeImmutable('2027-01-02 03:04:05+08:00'))->requireTarget();
        $sent = $this->client($http)->send($message);

        self::assertSame(['250012744206516224', 1, null, 0, true], [$sent->id, $sent->target, $sent->estimate, $sent->unknown, $sent->stored]);
        $request = $http->requests[0];
        self::assertSame('POST http://push.example.com/v1/messages', $request->getMethod() . ' ' . $request->getUri());
        self::assertSame('Basic ' . base64_encode('k3x9q0a7c5m2p8r1t6v4w0z2:secret'), $request->getHeaderLine('Authorization'));
        self::assertSame('application/json', $request->getHeaderLine('Content-Type'));
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/', $request->getHeaderLine('Idempotency-Key'));
        self::assertSame(
            '{"audience":{"aliases":["anna"]},"notification":{"title":"Hello","body":"How are you?","badge":0},'
            . '"data":{"order":7,"price":1.0,"name":"新/闻"},"ttl":60,"priority":"high","collapse_key":"c","ordering_key":"o",'
            . '"send_at":"2027-01-02T03:04:05+08:00","require_target":true}',
            (string) $request->getBody(),
        );
    }

    public function testAMessageForLaterHasAnEstimate(): void
    {
        $http = new Answers([Answers::json(202, ['id' => '1', 'target' => null, 'estimate' => 12, 'unknown' => 0, 'stored' => true])]);
        $sent = $this->client($http)->send(Message::to(Audience::all())->notify('x')->once('order-7'));
        self::assertSame([null, 12], [$sent->target, $sent->estimate]);
        self::assertSame('order-7', $http->requests[0]->getHeaderLine('Idempotency-Key'));
        self::assertSame(['audience' => 'all', 'notification' => ['title' => 'x']], $http->body(0));
    }

    public function testAMessageNeverChanges(): void
    {
        $first = Message::to(Audience::all())->notify('one')->once('k');
        $second = $first->notify('two')->ttl(0);
        self::assertSame('one', $first->jsonSerialize()['notification']['title']);
        self::assertArrayNotHasKey('ttl', $first->jsonSerialize());
        self::assertSame('k', $second->idempotencyKey());
    }

    /** @return array<string, array{Audience, string}> */
    public static function audiences(): array
    {
        $tags = Audience::tags('a', 'b');
        return [
            'all' => [Audience::all(), '"all"'],
            'devices' => [Audience::device('0000000000000000000a'), '{"registration_ids":["0000000000000000000a"]}'],
            'all on a platform' => [Audience::all()->platforms('ios', 'android'), '{"platforms":["ios","android"]}'],
            'narrowed' => [
                $tags->languages('zh-CN')->appVersions('1.2')->activeWithinDays(7)->online(false),
                '{"tags":["a","b"],"languages":["zh-CN"],"app_versions":["1.2"],"active_within_days":7,"online":false}',
            ],
            'without' => [$tags->without(Audience::allTags('c', 'd')), '{"tags":["a","b"],"not":{"tags_and":["c","d"]}}'],
            'a member twice is joined by and' => [
                $tags->platforms('ios')->platforms('web'),
                '{"and":[{"tags":["a","b"],"platforms":["ios"]},{"platforms":["web"]}]}',
            ],
            'any of' => [Audience::anyOf(Audience::segment('s'), Audience::file('f')), '{"or":[{"segments":["s"]},{"files":["f"]}]}'],
            'all of' => [Audience::allOf(Audience::topic('t/1'), $tags), '{"and":[{"topic":"t/1"},{"tags":["a","b"]}]}'],
            'from members' => [Audience::fromArray(['tags_not' => ['x']]), '{"tags_not":["x"]}'],
        ];
    }

    /** @dataProvider audiences */
    public function testAudience(Audience $audience, string $want): void
    {
        self::assertSame($want, json_encode($audience, \JSON_UNESCAPED_SLASHES));
    }

    /**
     * Answers before a success, tries in all, and whether a call succeeds that
     * may be repeated, and one that may not.
     *
     * @return array<string, array{list<mixed>, bool, bool}>
     */
    public static function failures(): array
    {
        return [
            'busy' => [[Answers::problem(429, 'rate_limited', ['Retry-After' => '1'])], true, true],
            'draining' => [[Answers::problem(503, 'draining')], true, true],
            'a store that cannot write' => [[Answers::problem(503, 'storage_unavailable', ['Retry-After' => '2'])], true, false],
            'a proxy without a server' => [[new Response(502, [], '<html>')], true, false],
            'lost' => [[Answers::lost()], true, false],
            'lost and busy' => [[Answers::lost(), Answers::problem(429, 'rate_limited')], true, false],
            'wrong' => [[Answers::problem(422, 'invalid_request')], false, false],
            'a long wait' => [[Answers::problem(429, 'rate_limited', ['Retry-After' => '600'])], false, false],
            'broken' => [[Answers::problem(500, 'internal')], false, false],
        ];
    }

    /**
     * @dataProvider failures
     *
     * @param list<mixed> $before
     */
    public function testTries(array $before, bool $repeatable, bool $single): void
    {
        foreach (['send' => $repeatable, 'publish' => $single] as $call => $succeeds) {
            $http = new Answers([...$before, Answers::json(202, self::ACCEPTED)]);
            $client = $this->client($http);
            try {
                $call === 'send' ? $client->send(Message::to(Audience::all())->notify('x')) : $client->publish('t', 1);
                self::assertTrue($succeeds, "$call succeeds");
            } catch (Refused | Unreachable $e) {
                self::assertFalse($succeeds, "$call: " . $e->getMessage());
                continue;
            }
            $keys = array_unique(array_map(static fn ($r): string => $r->getHeaderLine('Idempotency-Key'), $http->requests));
            self::assertCount(1, $keys, 'each try bears the same key');
            self::assertCount(count($before) + 1, $http->requests);
        }
    }

    public function testWaits(): void
    {
        $busy = Answers::problem(429, 'rate_limited', ['Retry-After' => '3']);
        $http = new Answers([$busy, Answers::lost(), Answers::lost(), Answers::json(202, self::ACCEPTED)]);
        $this->client($http)->send(Message::to(Audience::all())->notify('x'));
        self::assertCount(3, $this->waits);
        self::assertTrue($this->waits[0] > 3 && $this->waits[0] <= 3.2, 'a little more than asked');
        self::assertTrue($this->waits[1] > 0 && $this->waits[1] <= 0.4);
        self::assertTrue($this->waits[2] > 0 && $this->waits[2] <= 0.8);
    }

    public function testGivesUp(): void
    {
        $http = new Answers([Answers::lost(), Answers::lost()]);
        $this->expectException(Unreachable::class);
        $this->expectExceptionMessage('connection reset');
        $this->client($http, 2)->send(Message::to(Audience::all())->notify('x'));
    }

    public function testRefusal(): void
    {
        $http = new Answers([Answers::problem(422, 'invalid_request', field: 'ttl')]);
        try {
            $this->client($http)->send(Message::to(Audience::all())->notify('x')->with('tlt', 1));
            self::fail('it was not refused');
        } catch (Refused $e) {
            self::assertSame([422, 'invalid_request', 'Do it better.', 'ttl', null], [$e->status, $e->reason, $e->remedy, $e->field, $e->retryAfter]);
            self::assertSame('herald: it is wrong. Do it better.', $e->getMessage());
        }
    }

    public function testAnAnswerThatIsNotHeralds(): void
    {
        $this->expectException(Unreachable::class);
        $this->expectExceptionMessage('not JSON');
        $this->client(new Answers([new Response(200, [], '<html>')]))->app();
    }

    public function testRemovingWhatIsGoneAfterALostAnswer(): void
    {
        $http = new Answers([Answers::lost(), Answers::problem(404, 'not_found')]);
        $this->client($http)->removeDevice('0000000000000000000a');
        self::assertCount(2, $http->requests);
        $this->expectException(Refused::class);
        $this->client(new Answers([Answers::problem(404, 'not_found')]))->removeDevice('0000000000000000000a');
    }

    public function testBatch(): void
    {
        $http = new Answers([
            Answers::json(200, array_map(static fn (int $i): array => ['id' => (string) $i, 'target' => 1, 'unknown' => 0, 'stored' => true], range(1, 1000))),
            Answers::json(200, [
                ['id' => '1001', 'target' => 1, 'unknown' => 0, 'stored' => true],
                ['index' => 1, 'status' => 422, 'code' => 'invalid_request', 'detail' => 'no', 'remedy' => 'Yes.', 'field' => 'ttl'],
            ]),
        ]);
        $messages = (static function (): \Generator {
            for ($i = 1; $i <= 1002; $i++) {
                yield "message $i" => Message::to(Audience::alias("a$i"))->notify('x')->once("k$i");
            }
        })();
        $results = [];
        foreach ($this->client($http)->sendBatch($messages) as $key => $result) {
            $results[$key] = $result;
        }
        self::assertCount(1002, $results);
        self::assertSame('1001', $results['message 1001']->get()->id);
        self::assertSame([422, 'ttl'], [$results['message 1002']->error?->status, $results['message 1002']->error?->field]);
        self::assertSame([1000, 2], [count($http->body(0)), count($http->body(1))]);
        self::assertSame(['audience' => ['aliases' => ['a1001']], 'notification' => ['title' => 'x'], 'idempotency_key' => 'k1001'], $http->body(1)[0]);
        $this->expectException(Refused::class);
        $results['message 1002']->get();
    }

    public function testBatchesAreCutBySize(): void
    {
        $http = new Answers(array_fill(0, 2, Answers::json(200, array_fill(0, 300, self::ACCEPTED))));
        $large = Message::to(Audience::all())->data(str_repeat('x', 30000));
        $results = iterator_to_array($this->client($http)->sendBatch(array_fill(0, 300, $large)));
        self::assertCount(300, $results);
        self::assertCount(2, $http->requests);
        self::assertLessThan(8 << 20, strlen((string) $http->requests[0]->getBody()));
        self::assertSame([], iterator_to_array($this->client(new Answers([]))->sendBatch([])));
    }

    public function testABatchWithAnAnswerThatIsTooShort(): void
    {
        $http = new Answers([Answers::json(200, [self::ACCEPTED])]);
        $results = iterator_to_array($this->client($http)->sendBatch(array_fill(0, 2, Message::to(Audience::all())->notify('x'))));
        self::assertNotNull($results[0]->sent);
        self::assertSame(502, $results[1]->error?->status);
    }

    public function testPages(): void
    {
        $http = new Answers([
            Answers::json(200, ['devices' => [['registration_id' => 'a'], ['registration_id' => 'b']], 'next_cursor' => 'c/1+']),
            Answers::json(200, ['devices' => [['registration_id' => 'c']]]),
        ]);
        $ids = [];
        foreach ($this->client($http)->devices(tag: 'v&p', online: false) as $device) {
            $ids[] = $device['registration_id'];
        }
        self::assertSame(['a', 'b', 'c'], $ids);
        self::assertSame('limit=500&tag=v%26p&online=false&cursor=c%2F1%2B', $http->requests[1]->getUri()->getQuery());
    }

    public function testNamesAreEscaped(): void
    {
        $http = new Answers([Answers::json(200, ['alias' => 'a/b', 'devices' => []])]);
        $this->client($http)->alias('a/b?c 新');
        self::assertSame('/v1/aliases/a%2Fb%3Fc%20%E6%96%B0', $http->requests[0]->getUri()->getPath());
        $this->expectException(InvalidArgument::class);
        $this->client($http)->alias('');
    }

    /** @return array<string, array{string}> */
    public static function badAddresses(): array
    {
        return ['no scheme' => ['push.example.com'], 'another' => ['ftp://x'], 'user' => ['http://a:b@x'], 'query' => ['http://x?a'], 'empty' => ['']];
    }

    /** @dataProvider badAddresses */
    public function testAddress(string $url): void
    {
        $this->expectException(InvalidArgument::class);
        Client::forApp($url, 'a', 'b');
    }

    public function testWhatCannotBeSent(): void
    {
        $client = $this->client(new Answers([]));
        foreach ([["\xff", 'Malformed'], [\NAN, 'Inf and NaN']] as [$data, $why]) {
            try {
                $client->send(Message::to(Audience::all())->data($data));
                self::fail('it was sent');
            } catch (InvalidArgument $e) {
                self::assertStringContainsString($why, $e->getMessage());
            }
        }
    }

    public function testCredentialsAreHidden(): void
    {
        self::assertStringNotContainsString('secret', print_r($this->client(new Answers([])), true));
        $this->expectException(InvalidArgument::class);
        Client::withKey('https://x', "hk1.a\r\nX: y");
    }
}
