<?php

declare(strict_types=1);

namespace HeraldPush;

/**
 * Who a message is for. Values within a member are joined by "or", members by
 * "and":
 *
 *     Audience::tags('sports', 'news')->platforms('ios')->without(Audience::tags('paused'))
 *
 * reaches the iOS devices that have the tag sports or the tag news, and not the
 * tag paused. An audience never changes: each method gives a new one.
 */
final class Audience implements \JsonSerializable
{
    /** @param array<string, mixed>|null $members null for everybody */
    private function __construct(private readonly ?array $members)
    {
    }

    /** Every device of the app. */
    public static function all(): self
    {
        return new self(null);
    }

    /** The devices of people, by the names that the app has for them; at most 1,000. */
    public static function alias(string ...$aliases): self
    {
        return new self(['aliases' => array_values($aliases)]);
    }

    /** Devices by registration ID; at most 1,000. */
    public static function device(string ...$registrationIds): self
    {
        return new self(['registration_ids' => array_values($registrationIds)]);
    }

    /** Devices that have any of the tags. */
    public static function tags(string ...$tags): self
    {
        return new self(['tags' => array_values($tags)]);
    }

    /** Devices that have all of the tags. */
    public static function allTags(string ...$tags): self
    {
        return new self(['tags_and' => array_values($tags)]);
    }

    /** Devices in any of the saved segments. */
    public static function segment(string ...$names): self
    {
        return new self(['segments' => array_values($names)]);
    }

    /** Devices on any of the lists that were uploaded. */
    public static function file(string ...$ids): self
    {
        return new self(['files' => array_values($ids)]);
    }

    /** Devices whose sessions are subscribed to a topic. */
    public static function topic(string $topic): self
    {
        return new self(['topic' => $topic]);
    }

    /** Devices that are in any of the audiences. */
    public static function anyOf(self ...$audiences): self
    {
        return new self(['or' => array_values($audiences)]);
    }

    /** Devices that are in all of the audiences. */
    public static function allOf(self ...$audiences): self
    {
        return new self(['and' => array_values($audiences)]);
    }

    /**
     * An audience from its JSON members, as the API documents them.
     *
     * @param array<string, mixed> $members
     */
    public static function fromArray(array $members): self
    {
        return new self($members);
    }

    /** Only those on one of the platforms: web, android, ios, hmos, quickapp, windows, macos, linux, embedded, other. */
    public function platforms(string ...$platforms): self
    {
        return $this->and('platforms', array_values($platforms));
    }

    /** Only those with one of the languages (BCP 47). */
    public function languages(string ...$languages): self
    {
        return $this->and('languages', array_values($languages));
    }

    /** Only those with one of the versions of the app. */
    public function appVersions(string ...$versions): self
    {
        return $this->and('app_versions', array_values($versions));
    }

    /** Only those that were seen in the last 1, 7 or 30 days. */
    public function activeWithinDays(int $days): self
    {
        return $this->and('active_within_days', $days);
    }

    /** Only those that are connected now (true), or are not (false). */
    public function online(bool $online = true): self
    {
        return $this->and('online', $online);
    }

    /** Without the devices of another audience. */
    public function without(self $other): self
    {
        return $this->and('not', $other);
    }

    /** Joins a member; one that is there already is joined from outside. */
    private function and(string $name, mixed $value): self
    {
        $members = $this->members ?? [];
        if (array_key_exists($name, $members)) {
            return new self(['and' => [$this, new self([$name => $value])]]);
        }
        return new self([...$members, $name => $value]);
    }

    public function jsonSerialize(): mixed
    {
        return $this->members === null ? 'all' : (object) $this->members;
    }
}
