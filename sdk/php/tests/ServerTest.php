<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

use HeraldPush\Audience;
use HeraldPush\Client;
use HeraldPush\Exception\InvalidWebhook;
use HeraldPush\Exception\Refused;
use HeraldPush\Message;
use HeraldPush\Schedule;
use HeraldPush\Webhook;
use PHPUnit\Framework\TestCase;

/** The client against the real binary. */
final class ServerTest extends TestCase
{
    private static ?Herald $herald = null;
    private static Client $client;

    public static function setUpBeforeClass(): void
    {
        if (getenv('HERALD') === false) {
            return;
        }
        self::$herald = new Herald();
        self::$client = Client::forApp(self::$herald->url, self::$herald->appKey, self::$herald->secret);
    }

    public static function tearDownAfterClass(): void
    {
        self::$herald?->stop();
    }

    protected function setUp(): void
    {
        if (self::$herald === null) {
            self::markTestSkipped('the environment variable HERALD does not name the binary of a server');
        }
    }

    /** Registers a device. @return array{string, string} registration ID and token */
    private function device(string $alias = ''): array
    {
        $answer = self::$client->call('POST', '/v1/devices', array_filter(['platform' => 'android', 'alias' => $alias]));
        return [$answer['registration_id'], $answer['token']];
    }

    /** Asks as a device for what waits for it. @return list<array<string, mixed>> */
    private function poll(string $token): array
    {
        $answer = file_get_contents(self::$herald->url . '/v1/live/poll?wait=0', false, stream_context_create(['http' => ['header' => "Authorization: Bearer $token"]]));
        return json_decode((string) $answer, true, 512, \JSON_THROW_ON_ERROR)['frames'] ?? [];
    }

    public function testAMessageArrives(): void
    {
        [$id, $token] = $this->device('anna');
        $sent = self::$client->send(Message::to(Audience::alias('anna', 'nobody'))->notify('你好', 'Hello')->data(['n' => 1])->once('php-1'));
        self::assertSame([1, 1, true], [$sent->target, $sent->unknown, $sent->stored]);
        self::assertMatchesRegularExpression('/^\d+$/', $sent->id);
        $again = self::$client->send(Message::to(Audience::alias('anna', 'nobody'))->notify('你好', 'Hello')->data(['n' => 1])->once('php-1'));
        self::assertSame($sent->id, $again->id, 'the same key is the same message');

        $message = $this->poll($token)[0];
        self::assertSame([$sent->id, '你好', ['n' => 1]], [$message['id'], $message['notification']['title'], $message['data']]);
        self::assertSame('sending', self::$client->message($sent->id)['state']);
        self::assertSame('anna', self::$client->device($id)['alias']);
        self::assertSame($id, self::$client->trace($sent->id, $id)['registration_id']);
        self::assertSame(1, iterator_count(self::$client->deliveries($sent->id)));
        self::assertSame(1, self::$client->report($sent->id)['funnel']['target']);
        self::assertSame('withdrawn', self::$client->withdraw($sent->id)['state']);
        self::assertContains($sent->id, array_column(iterator_to_array(self::$client->messages('withdrawn')), 'id'));
    }

    public function testDevicesAliasesAndTags(): void
    {
        [$a] = $this->device();
        [$b] = $this->device();
        self::assertSame(['added' => 2, 'removed' => 0, 'unknown' => ['0000000000000000000a']], self::$client->changeTag('vip/新', [$a, $b, '0000000000000000000a']));
        self::assertSame(2, self::$client->tag('vip/新')['devices']);
        self::assertSame(['vip/新'], array_column(iterator_to_array(self::$client->tags('vip')), 'tag'));
        self::assertSame([$a, $b], array_column(iterator_to_array(self::$client->devices(tag: 'vip/新')), 'registration_id'));
        self::assertSame(2, self::$client->estimate(Audience::tags('vip/新')->platforms('android')->online(false))['devices']);
        self::assertSame('zh-CN', self::$client->updateDevice($a, ['language' => 'zh-CN', 'attributes' => ['plan' => 'gold']])['language']);
        self::assertSame(1, self::$client->changeAlias('bob', [$a])['added']);
        self::assertSame($a, self::$client->alias('bob')['devices'][0]['registration_id']);
        self::$client->setSegment('chinese', Audience::all()->languages('zh-CN'));
        self::assertSame(1, self::$client->estimate(Audience::segment('chinese'))['devices']);
        self::assertSame(1, self::$client->estimate(Audience::tags('vip/新')->without(Audience::segment('chinese')))['devices']);
        self::$client->deleteSegment('chinese');
        self::$client->deleteAlias('bob');
        self::$client->deleteTag('vip/新');
        self::$client->removeDevice($b, erase: true);
        try {
            self::$client->device($b);
            self::fail('the device is still there');
        } catch (Refused $e) {
            self::assertSame([404, 'not_found'], [$e->status, $e->reason]);
        }
    }

    public function testABatch(): void
    {
        [$id] = $this->device();
        $message = Message::to(Audience::device($id))->notify('x');
        $results = iterator_to_array(self::$client->sendBatch(['good' => $message, 'bad' => $message->ttl(-1), 'later' => $message->sendAt(new \DateTimeImmutable('+1 hour'))]));
        self::assertSame(1, $results['good']->get()->target);
        self::assertSame([422, 'ttl'], [$results['bad']->error?->status, $results['bad']->error?->field]);
        self::assertSame([null, 1], [$results['later']->get()->target, $results['later']->get()->estimate]);
    }

    public function testSchedulesAndTemplates(): void
    {
        [$id] = $this->device();
        self::$client->setTemplate('bill', 'en', ['en' => ['title' => 'Hello {{name}}'], 'zh' => ['title' => '你好 {{name}}']], ['name' => 'friend']);
        $message = Message::to(Audience::device($id))->template('bill', ['name' => 'Anna'])->category('bills');
        $made = self::$client->createSchedule('bills', Schedule::monthly('09:00', 1, -1)->in('Asia/Shanghai')->skipMissed(), $message);
        self::assertSame(['active', 'Asia/Shanghai', 'skip'], [$made['state'], $made['zone'], $made['missed']]);
        self::assertCount(3, self::$client->nextOccurrences($made['id'], 3));
        $sent = self::$client->runSchedule($made['id'])['message_id'];
        self::assertSame('Hello Anna', self::$client->message($sent)['notification']['title']);
        self::assertSame('bills', self::$client->message($sent)['category']);
        self::assertCount(1, iterator_to_array(self::$client->scheduleRuns($made['id'])));
        $next = self::$client->schedule($made['id'])['next_at'];
        self::assertNotSame($next, self::$client->skipSchedule($made['id'])['next_at']);
        self::assertSame('paused', self::$client->pauseSchedule($made['id'])['state']);
        self::assertSame([$made['id']], array_column(iterator_to_array(self::$client->schedules('paused')), 'id'));
        self::assertSame('active', self::$client->resumeSchedule($made['id'])['state']);
        self::assertSame('of the month', self::$client->updateSchedule($made['id'], ['name' => 'of the month'])['name']);
        foreach ([Schedule::daily('10:00', 2)->localTime(), Schedule::weekly('10:00', 'mon')->every(2)->between(null, new \DateTimeImmutable('+60 days')),
            Schedule::cron('*/30 9-17 * * mon-fri'), Schedule::once(new \DateTimeImmutable('+1 day'))] as $i => $when) {
            $other = self::$client->createSchedule("s$i", $when, Message::to(Audience::all())->notify('x'));
            self::$client->deleteSchedule($other['id']);
        }
        self::$client->deleteSchedule($made['id']);
        self::$client->deleteTemplate('bill');
    }

    public function testOverTime(): void
    {
        [$a] = $this->device();
        [$b] = $this->device();
        $all = Message::to(Audience::device($a, $b))->notify('x')->ttl(86400);
        $slow = self::$client->send($all->spreadOver(3600));
        self::assertTrue(self::$client->pause($slow->id)['paused'] ?? false);
        self::assertSame($slow->id, self::$client->resume($slow->id)['id']);
        self::assertSame($slow->id, self::$client->stop($slow->id)['id']);
        $local = self::$client->send($all->sendAtLocal(new \DateTimeImmutable('+30 days')));
        self::assertSame([null, 2], [$local->target, $local->estimate]);
        $first = self::$client->send($all->spreadPerSecond(1000));
        self::assertSame($first->id, self::$client->message(self::$client->send($all->replaces($first->id))->id)['replaces']);
        self::$client->updateApp(['approval' => ['required' => true, 'above' => 1]]);
        $held = self::$client->send($all->category('news'));
        self::assertSame('awaiting_approval', self::$client->message($held->id)['state']);
        try {
            self::$client->approve($held->id);
            self::fail('its sender has approved it');
        } catch (Refused $e) {
            self::assertSame('forbidden', $e->reason);
        }
        self::assertSame('rejected', self::$client->reject($held->id, 'not today')['state']);
        self::$client->updateApp(['approval' => ['required' => false, 'above' => 0]]);
    }

    public function testRefusals(): void
    {
        try {
            self::$client->send(Message::fromArray(['audience' => 'all', 'notification' => ['title' => 'x'], 'tlt' => 1]));
            self::fail('it was not refused');
        } catch (Refused $e) {
            self::assertSame('tlt', $e->field);
            self::assertStringContainsString('ttl', $e->remedy);
        }
        $this->expectException(Refused::class);
        $this->expectExceptionCode(401);
        Client::forApp(self::$herald->url, self::$herald->appKey, 'wrong')->app();
    }

    public function testAppAndTopics(): void
    {
        self::assertSame('php', self::$client->updateApp(['name' => 'php'])['name']);
        self::assertSame(self::$herald->appKey, self::$client->app()['app_key']);
        self::assertSame(0, self::$client->publish('chat/1', ['text' => 'hi'])['devices']);
        self::assertNotEmpty(self::$client->call('GET', '/v1/audit', query: ['limit' => 1])['entries']);
    }

    public function testAWebhookIsVerified(): void
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0');
        self::assertNotFalse($socket);
        $hook = self::$client->createWebhook('http://' . stream_socket_get_name($socket, false) . '/hooks', ['device.*'], 'of a test');
        self::assertSame([$hook['id']], array_column(self::$client->webhooks(), 'id'));
        [$id] = $this->device();

        [$headers, $body] = $this->request($socket);
        $got = Webhook::verify($body, $headers, $hook['secret']);
        self::assertSame('events', $got['type']);
        self::assertSame(['device.registered', $id], [$got['data']['events'][0]['type'], $got['data']['events'][0]['registration_id']]);
        $rotated = self::$client->rotateWebhook($hook['id'], 60);
        self::assertNotSame($hook['secret'], $rotated['secret']);
        self::assertSame(['receipt.*'], self::$client->updateWebhook($hook['id'], ['events' => ['receipt.*']])['events']);
        self::assertSame($hook['url'], self::$client->webhook($hook['id'])['url']);
        self::$client->deleteWebhook($hook['id']);
        $this->expectException(InvalidWebhook::class);
        Webhook::verify($body, $headers, $rotated['secret']);
    }

    /**
     * Takes one request and answers it with 200.
     *
     * @param resource $socket
     *
     * @return array{array<string, string>, string} headers and body
     */
    private function request($socket): array
    {
        $conn = stream_socket_accept($socket, 60);
        self::assertNotFalse($conn);
        fgets($conn);
        $headers = [];
        while (($line = trim((string) fgets($conn))) !== '') {
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower($name)] = trim($value);
        }
        $body = (string) stream_get_contents($conn, (int) $headers['content-length']);
        fwrite($conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        fclose($conn);
        return [$headers, $body];
    }
}
