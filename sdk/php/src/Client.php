<?php

declare(strict_types=1);

namespace HeraldPush;

use HeraldPush\Exception\InvalidArgument;
use HeraldPush\Exception\Refused;

/**
 * Calls one Herald server for an app: sends messages, follows them, and manages
 * devices, aliases, tags, schedules and webhooks.
 *
 * Calls return when they are done. What a busy or restarting server refuses for
 * now, and what the network loses, is tried again; that is safe, because a
 * message bears an idempotency key and the other calls say what shall be. What
 * the server refuses is a {@see Refused} with its remedy; what got no answer is
 * an {@see Exception\Unreachable}. Answers are arrays with the members that the
 * API documents.
 */
final class Client
{
    use Calls\Messages;
    use Calls\Devices;
    use Calls\Schedules;
    use Calls\Webhooks;

    /** Messages that one call of sendBatch takes at most; more are sent in several. */
    public const BATCH = 1000;
    /** Bytes that one call of sendBatch takes. */
    private const BATCH_BYTES = 7 << 20;

    private function __construct(private readonly Transport $transport)
    {
    }

    /** A client with the app key and the master secret, which may do everything of the app. */
    public static function forApp(string $url, string $appKey, string $masterSecret, Options $options = new Options()): self
    {
        if ($appKey === '' || $masterSecret === '') {
            throw new InvalidArgument('herald: app key and master secret must not be empty; `herald app show` prints them on the server');
        }
        return new self(new Transport($url, 'Basic ' . base64_encode("$appKey:$masterSecret"), $options));
    }

    /** A client with a key ("hk1.…") that may do what its scopes say. */
    public static function withKey(string $url, string $key, Options $options = new Options()): self
    {
        if ($key === '') {
            throw new InvalidArgument('herald: the key must not be empty');
        }
        return new self(new Transport($url, "Bearer $key", $options));
    }

    /**
     * Has waits between tries made in another way, for tests.
     *
     * @internal
     *
     * @param \Closure(float): void $sleep
     */
    public function sleepWith(\Closure $sleep): void
    {
        $this->transport->sleepWith($sleep);
    }

    /** Hides the credentials from dumps. @return array<string, string> */
    public function __debugInfo(): array
    {
        return ['herald' => '(client)'];
    }

    /**
     * The app: name, settings, devices, how many are online.
     *
     * @return array<string, mixed>
     */
    public function app(): array
    {
        return $this->transport->json('GET', '/v1/app');
    }

    /**
     * Changes settings of the app; members that are absent stay.
     *
     * @param array<string, mixed> $changes
     *
     * @return array<string, mixed>
     */
    public function updateApp(array $changes): array
    {
        return $this->transport->json('PATCH', '/v1/app', (object) $changes);
    }

    /**
     * Makes any other call of /v1, as the API documents it, such as
     * call('GET', '/v1/audit', query: ['limit' => 10]).
     *
     * @param array<string, scalar|null> $query
     *
     * @return array<mixed>
     */
    public function call(string $method, string $path, mixed $body = null, array $query = []): array
    {
        return $this->transport->json($method, $path, $body, $query, again: in_array($method, ['GET', 'PUT', 'DELETE'], true));
    }

    /** Makes of a name a part of a path. */
    private static function part(string $name): string
    {
        if ($name === '') {
            throw new InvalidArgument('herald: an ID or name must not be empty');
        }
        return '/' . rawurlencode($name);
    }

    /**
     * Goes through the pages of a list.
     *
     * @param array<string, scalar|null> $query
     *
     * @return \Generator<int, array<string, mixed>>
     */
    private function each(string $path, string $member, array $query): \Generator
    {
        do {
            $page = $this->transport->json('GET', $path, query: ['limit' => 500, ...$query]);
            foreach ($page[$member] ?? [] as $item) {
                yield $item;
            }
            $query['cursor'] = $page['next_cursor'] ?? null;
        } while ($query['cursor'] !== null);
    }
}
