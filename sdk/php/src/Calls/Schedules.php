<?php

declare(strict_types=1);

namespace HeraldPush\Calls;

use HeraldPush\Message;
use HeraldPush\Schedule;
use HeraldPush\Transport;

/**
 * Messages at times, and texts that are kept on the server.
 *
 * @internal part of {@see \HeraldPush\Client}
 */
trait Schedules
{
    /**
     * Has the server send a message at the times of a schedule. Whom it is for is
     * found out at each of them.
     *
     * @return array<string, mixed> the schedule, with its id
     */
    public function createSchedule(string $name, Schedule $when, Message $message): array
    {
        return $this->transport->json('POST', '/v1/schedules', self::scheduled($name, $when, $message), headers: ['Idempotency-Key' => self::newKey()]);
    }

    /**
     * The schedules of the app, in the order in which they were made.
     *
     * @param string|null $state active, paused or ended
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function schedules(?string $state = null): \Generator
    {
        return $this->each('/v1/schedules', 'schedules', ['state' => $state]);
    }

    /**
     * A schedule with its next occurrence.
     *
     * @return array<string, mixed>
     */
    public function schedule(string $id): array
    {
        return $this->transport->json('GET', '/v1/schedules' . self::part($id));
    }

    /**
     * Changes a schedule: name, trigger, zone, message, missed, grace, each
     * replaced whole; those that are absent stay.
     *
     * @param array<string, mixed> $changes
     *
     * @return array<string, mixed>
     */
    public function updateSchedule(string $id, array $changes): array
    {
        return $this->transport->json('PATCH', '/v1/schedules' . self::part($id), (object) $changes);
    }

    /**
     * The next occurrences of a schedule.
     *
     * @return list<array{at: string, local: string}>
     */
    public function nextOccurrences(string $id, int $count = 10): array
    {
        return $this->transport->json('GET', '/v1/schedules' . self::part($id) . '/next', query: ['count' => $count])['occurrences'] ?? [];
    }

    /**
     * What became of the occurrences of a schedule, newest first: the ID of the
     * message of each, or why there is none.
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function scheduleRuns(string $id): \Generator
    {
        return $this->each('/v1/schedules' . self::part($id) . '/messages', 'runs', []);
    }

    /**
     * Has a schedule make no messages until it is resumed.
     *
     * @return array<string, mixed> the schedule
     */
    public function pauseSchedule(string $id): array
    {
        return $this->transport->json('POST', '/v1/schedules' . self::part($id) . ':pause');
    }

    /**
     * Has a schedule go on with the next occurrence.
     *
     * @return array<string, mixed> the schedule
     */
    public function resumeSchedule(string $id): array
    {
        return $this->transport->json('POST', '/v1/schedules' . self::part($id) . ':resume');
    }

    /**
     * Sends the message of a schedule now, beside its occurrences.
     *
     * @return array<string, mixed> the run, with message_id
     */
    public function runSchedule(string $id): array
    {
        return $this->transport->json('POST', '/v1/schedules' . self::part($id) . ':run', headers: ['Idempotency-Key' => self::newKey()]);
    }

    /**
     * Leaves the next occurrence of a schedule out.
     *
     * @return array<string, mixed> the schedule
     */
    public function skipSchedule(string $id): array
    {
        return $this->transport->json('POST', '/v1/schedules' . self::part($id) . ':skip', again: Transport::SINGLE);
    }

    /** Deletes a schedule; the messages that it has made stay. */
    public function deleteSchedule(string $id): void
    {
        $this->transport->json('DELETE', '/v1/schedules' . self::part($id));
    }

    /**
     * Saves a template, over one that has the name. contents is by language:
     * ['en' => ['title' => 'Hello {{name}}', 'body' => '…'], 'zh' => …].
     *
     * @param array<string, array<string, mixed>> $contents
     * @param array<string, string>               $defaults of variables
     *
     * @return array<string, mixed> the template
     */
    public function setTemplate(string $name, string $language, array $contents, array $defaults = []): array
    {
        $body = ['language' => $language, 'contents' => (object) $contents] + ($defaults === [] ? [] : ['defaults' => $defaults]);
        return $this->transport->json('PUT', '/v1/templates' . self::part($name), $body);
    }

    /** Deletes a template; messages that were made from it stay as they are. */
    public function deleteTemplate(string $name): void
    {
        $this->transport->json('DELETE', '/v1/templates' . self::part($name));
    }

    /**
     * @return array<string, mixed>
     */
    private static function scheduled(string $name, Schedule $when, Message $message): array
    {
        return ['name' => $name] + $when->jsonSerialize() + ['message' => $message];
    }
}
