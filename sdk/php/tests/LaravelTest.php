<?php

declare(strict_types=1);

namespace {
    if (!class_exists('Illuminate\Notifications\Notification')) {
        // What the channel needs of Laravel, as its versions 9 to 12 have it.
        class_alias(HeraldPush\Tests\LaravelNotification::class, 'Illuminate\Notifications\Notification');
    }
    require_once __DIR__ . '/../examples/laravel/HeraldChannel.php';
}

namespace HeraldPush\Tests {
    use App\Notifications\Channels\HeraldChannel;
    use HeraldPush\Audience;
    use HeraldPush\Client;
    use HeraldPush\Message;
    use HeraldPush\Options;
    use PHPUnit\Framework\TestCase;

    /** The channel for Laravel, with stand-ins for Laravel's classes. */
    final class LaravelTest extends TestCase
    {
        /** @return array<string, array{object, mixed, mixed}> */
        public static function notifications(): array
        {
            $user = new class () {
                public function getKey(): int
                {
                    return 7;
                }
            };
            $routed = new class () {
                public function routeNotificationFor(string $channel): Audience
                {
                    return Audience::tags($channel);
                }
            };
            return [
                'by its key' => [$user, ['title' => 'x'], ['audience' => ['aliases' => ['7']], 'notification' => ['title' => 'x']]],
                'a message' => [$user, Message::to(Audience::all())->notify('x')->ttl(1), ['audience' => ['aliases' => ['7']], 'notification' => ['title' => 'x'], 'ttl' => 1]],
                'by its own route' => [$routed, ['title' => 'x'], ['audience' => ['tags' => ['herald']], 'notification' => ['title' => 'x']]],
                'nobody' => [new \stdClass(), ['title' => 'x'], null],
            ];
        }

        /** @dataProvider notifications */
        public function testChannel(object $notifiable, mixed $content, mixed $want): void
        {
            $http = new Answers([Answers::json(202, ['id' => '1', 'target' => 1, 'unknown' => 0, 'stored' => true])]);
            $channel = new HeraldChannel(Client::forApp('https://push.example.com', 'a', 'b', new Options(http: $http)));
            $sent = $channel->send($notifiable, new LaravelNotification($content));
            if ($want === null) {
                self::assertNull($sent);
                self::assertSame([], $http->requests);
                return;
            }
            self::assertSame('1', $sent?->id);
            self::assertEquals($want, $http->body(0));
            self::assertSame('laravel-0b5e', $http->requests[0]->getHeaderLine('Idempotency-Key'));
        }
    }

    class LaravelNotification
    {
        public string $id = '0b5e';

        public function __construct(private readonly mixed $content)
        {
        }

        public function toHerald(): mixed
        {
            return $this->content;
        }
    }
}
