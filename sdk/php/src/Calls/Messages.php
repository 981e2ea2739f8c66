<?php

declare(strict_types=1);

namespace HeraldPush\Calls;

use HeraldPush\Audience;
use HeraldPush\Exception\Refused;
use HeraldPush\Message;
use HeraldPush\Result;
use HeraldPush\Sent;
use HeraldPush\Transport;

/**
 * Sending messages, and what became of them.
 *
 * @internal part of {@see \HeraldPush\Client}
 */
trait Messages
{
    /**
     * Sends a message. When it returns with stored true, message and audience
     * survive a crash of the server; delivery goes on by itself.
     */
    public function send(Message $message): Sent
    {
        $key = $message->idempotencyKey() ?? self::newKey();
        return Sent::fromAnswer($this->transport->json('POST', '/v1/messages', $message, headers: ['Idempotency-Key' => $key]));
    }

    /**
     * Sends any number of messages in as few calls as can be, and gives a result
     * for each, in their order, with the key of the message: one that is refused
     * does not keep the others from being sent. It takes from the iterable as
     * much as one call can hold, so a generator may give millions; nothing is
     * sent before the first result is asked for.
     *
     *     foreach ($herald->sendBatch($messages) as $i => $result) { … }
     *
     * @template K
     *
     * @param iterable<K, Message> $messages
     *
     * @return \Generator<K, Result>
     */
    public function sendBatch(iterable $messages): \Generator
    {
        $keys = $lines = [];
        $bytes = 0;
        foreach ($messages as $key => $message) {
            $line = Transport::encode([...$message->jsonSerialize(), 'idempotency_key' => $message->idempotencyKey() ?? self::newKey()]);
            if ($lines !== [] && (count($lines) >= self::BATCH || $bytes + strlen($line) > self::BATCH_BYTES)) {
                yield from $this->batch($keys, $lines);
                $keys = $lines = [];
                $bytes = 0;
            }
            $keys[] = $key;
            $lines[] = $line;
            $bytes += strlen($line) + 1;
        }
        if ($lines !== []) {
            yield from $this->batch($keys, $lines);
        }
    }

    /**
     * @param list<mixed>  $keys
     * @param list<string> $lines
     *
     * @return \Generator<mixed, Result>
     */
    private function batch(array $keys, array $lines): \Generator
    {
        $headers = ['Content-Type' => 'application/json'];
        $answer = $this->transport->send('POST', '/v1/messages:batch', '[' . implode(',', $lines) . ']', [], $headers, Transport::REPEATABLE);
        $results = json_decode($answer, true, 512, \JSON_BIGINT_AS_STRING);
        foreach ($keys as $i => $key) {
            $r = $results[$i] ?? null;
            if (!is_array($r)) {
                $result = new Result(null, new Refused('herald: the answer to a batch has no result for this message', 502));
            } elseif (isset($r['code'])) {
                $result = new Result(null, Refused::fromProblem($r, (int) ($r['status'] ?? 422)));
            } else {
                $result = new Result(Sent::fromAnswer($r), null);
            }
            yield $key => $result;
        }
    }

    private static function newKey(): string
    {
        return bin2hex(random_bytes(16));
    }

    /**
     * How many devices an audience has now, and how many of them are connected.
     *
     * @return array{devices: int, online: int, unknown: int}
     */
    public function estimate(Audience $audience): array
    {
        return $this->transport->json('POST', '/v1/audience/estimate', ['audience' => $audience]);
    }

    /**
     * A message with its state and counts.
     *
     * @return array<string, mixed>
     */
    public function message(string $id): array
    {
        return $this->transport->json('GET', '/v1/messages' . self::part($id));
    }

    /**
     * The messages of the app, newest first.
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function messages(?string $state = null): \Generator
    {
        return $this->each('/v1/messages', 'messages', ['state' => $state]);
    }

    /**
     * Takes a message back: where it has not arrived it never does, and devices
     * that have it are told to remove it.
     *
     * @return array<string, mixed> the message
     */
    public function withdraw(string $id): array
    {
        return $this->transport->json('DELETE', '/v1/messages' . self::part($id));
    }

    /**
     * Has a slow push release nobody more until it is resumed.
     *
     * @return array<string, mixed> the message
     */
    public function pause(string $id): array
    {
        return $this->transport->json('POST', '/v1/messages' . self::part($id) . ':pause');
    }

    /**
     * Has a slow push go on.
     *
     * @return array<string, mixed> the message
     */
    public function resume(string $id): array
    {
        return $this->transport->json('POST', '/v1/messages' . self::part($id) . ':resume');
    }

    /**
     * Ends a slow push: who has the message keeps it, who has not never gets it.
     *
     * @return array<string, mixed> the message
     */
    public function stop(string $id): array
    {
        return $this->transport->json('POST', '/v1/messages' . self::part($id) . ':stop');
    }

    /**
     * Lets a message go that another key has sent, and that waits for that.
     *
     * @return array<string, mixed> the message
     */
    public function approve(string $id): array
    {
        return $this->transport->json('POST', '/v1/messages' . self::part($id) . ':approve', again: Transport::SINGLE);
    }

    /**
     * Ends a message that waits to be approved.
     *
     * @return array<string, mixed> the message
     */
    public function reject(string $id, string $reason = ''): array
    {
        return $this->transport->json('POST', '/v1/messages' . self::part($id) . ':reject', ['reason' => $reason], again: Transport::SINGLE);
    }

    /**
     * What became of a message: the funnel by platform, transport and time.
     *
     * @param string|null $bucket minute, hour or day
     *
     * @return array<string, mixed>
     */
    public function report(string $id, ?string $bucket = null): array
    {
        return $this->transport->json('GET', '/v1/messages' . self::part($id) . '/report', query: ['bucket' => $bucket]);
    }

    /**
     * The state of a message on each of its devices.
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function deliveries(string $id, ?string $state = null, ?string $platform = null): \Generator
    {
        return $this->each('/v1/messages' . self::part($id) . '/deliveries', 'deliveries', ['state' => $state, 'platform' => $platform]);
    }

    /**
     * What happened to a message on one device, step by step, with the reason in
     * words.
     *
     * @return array<string, mixed>
     */
    public function trace(string $id, string $registrationId): array
    {
        return $this->transport->json('GET', '/v1/messages' . self::part($id) . '/devices' . self::part($registrationId));
    }

    /**
     * Hands data to the sessions that are subscribed to a topic now. It is not
     * stored, and nobody who is away gets it.
     *
     * @return array{topic: string, devices: int}
     */
    public function publish(string $topic, mixed $data): array
    {
        return $this->transport->json('POST', '/v1/publish', ['topic' => $topic, 'data' => $data], again: Transport::SINGLE);
    }
}
