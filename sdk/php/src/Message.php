<?php

declare(strict_types=1);

namespace HeraldPush;

/**
 * A message to send. It never changes: each method gives a new one, so that one
 * can stand at the beginning of many.
 *
 *     Message::to(Audience::alias('anna'))->notify('Hello', 'How are you?')->ttl(3600)
 */
final class Message implements \JsonSerializable
{
    /** @param array<string, mixed> $members as POST /v1/messages takes them */
    private function __construct(private readonly array $members, private readonly ?string $idempotencyKey = null)
    {
    }

    public static function to(Audience $audience): self
    {
        return new self(['audience' => $audience]);
    }

    /**
     * A message from its JSON members, as the API documents them.
     *
     * @param array<string, mixed> $members
     */
    public static function fromArray(array $members): self
    {
        return new self($members);
    }

    /** The visible part: its first line and the text. */
    public function notify(string $title, string $body = ''): self
    {
        return $this->notification(array_filter(['title' => $title, 'body' => $body], static fn (string $s): bool => $s !== ''));
    }

    /**
     * Members of the visible part: title, body, image, click, badge, sound,
     * actions, platforms. Those that it has already and are not named stay.
     *
     * @param array<string, mixed> $members
     */
    public function notification(array $members): self
    {
        return $this->with('notification', [...$this->members['notification'] ?? [], ...$members]);
    }

    /** Any JSON for the app itself, which nobody sees. */
    public function data(mixed $data): self
    {
        return $this->with('data', $data);
    }

    /** How many seconds it may wait, from the moment it is due; 0 reaches only who is connected now. */
    public function ttl(int $seconds): self
    {
        return $this->with('ttl', $seconds);
    }

    /** low, normal or high. */
    public function priority(string $priority): self
    {
        return $this->with('priority', $priority);
    }

    /** A newer message with the same key replaces this one where it was not received yet. */
    public function collapseKey(string $key): self
    {
        return $this->with('collapse_key', $key);
    }

    /** Messages with the same key arrive in the order in which they were accepted. */
    public function orderingKey(string $key): self
    {
        return $this->with('ordering_key', $key);
    }

    /** When to send it, at most a year ahead; the audience is evaluated then. */
    public function sendAt(\DateTimeInterface $time): self
    {
        return $this->with('send_at', $time->format(\DateTimeInterface::RFC3339));
    }

    /** When to send it by the clock of each device; its time zone does not matter. */
    public function sendAtLocal(\DateTimeInterface $time): self
    {
        return $this->with('send_at_local', $time->format('Y-m-d\TH:i:s'));
    }

    /** Releases it over so many seconds instead of to all at once, to active devices first. */
    public function spreadOver(int $seconds): self
    {
        return $this->with('spread', ['over' => $seconds]);
    }

    /** Releases it to about so many devices a second, to active ones first. */
    public function spreadPerSecond(int $devices): self
    {
        return $this->with('spread', ['per_second' => $devices]);
    }

    /** Whether a device in the app's quiet hours gets it when they end: respect or ignore. */
    public function quietHours(string $what): self
    {
        return $this->with('quiet_hours', $what);
    }

    /** What kind of message it is for the app; frequency caps go by it. */
    public function category(string $category): self
    {
        return $this->with('category', $category);
    }

    /** An older message that it takes the place of. */
    public function replaces(string $id): self
    {
        return $this->with('replaces', $id);
    }

    /**
     * Makes its content from a template, in the place of notify.
     *
     * @param array<string, string> $values of the variables
     */
    public function template(string $name, array $values = [], string $language = ''): self
    {
        $use = ['id' => $name] + ($values === [] ? [] : ['values' => $values]) + ($language === '' ? [] : ['language' => $language]);
        return $this->with('template', $use);
    }

    /** Has the server refuse it if nobody is in the audience. */
    public function requireTarget(): self
    {
        return $this->with('require_target', true);
    }

    /** Any other member of POST /v1/messages. */
    public function with(string $name, mixed $value): self
    {
        return new self([...$this->members, $name => $value], $this->idempotencyKey);
    }

    /**
     * Makes it one message, however often it is sent within a day: 1 to 128
     * bytes, such as "order-4711-shipped". Without one each call of send makes
     * a message, and only its own repetitions are recognised.
     */
    public function once(string $key): self
    {
        return new self($this->members, $key);
    }

    /** The key that once was given. */
    public function idempotencyKey(): ?string
    {
        return $this->idempotencyKey;
    }

    /** @return array<string, mixed> */
    public function jsonSerialize(): array
    {
        return $this->members;
    }
}
