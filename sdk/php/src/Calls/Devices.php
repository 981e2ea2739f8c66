<?php

declare(strict_types=1);

namespace HeraldPush\Calls;

use HeraldPush\Audience;

/**
 * Devices, the people that they belong to, and what they are sorted by.
 *
 * @internal part of {@see \HeraldPush\Client}
 */
trait Devices
{
    /**
     * A device with its alias, tags and attributes, and whether it is online.
     *
     * @return array<string, mixed>
     */
    public function device(string $registrationId): array
    {
        return $this->transport->json('GET', '/v1/devices' . self::part($registrationId));
    }

    /**
     * The devices of the app, in the order of registration.
     *
     * @return \Generator<int, array<string, mixed>>
     */
    public function devices(?string $alias = null, ?string $tag = null, ?string $platform = null, ?bool $online = null): \Generator
    {
        return $this->each('/v1/devices', 'devices', ['alias' => $alias, 'tag' => $tag, 'platform' => $platform, 'online' => $online]);
    }

    /**
     * Changes a device: alias ("" removes it), tags (all of them), tags_add,
     * tags_remove, attributes (null removes one), language, time_zone,
     * app_version, revoke_tokens. Members that are absent stay.
     *
     * @param array<string, mixed> $changes
     *
     * @return array<string, mixed> the device
     */
    public function updateDevice(string $registrationId, array $changes): array
    {
        return $this->transport->json('PATCH', '/v1/devices' . self::part($registrationId), (object) $changes);
    }

    /** Removes a device; with $erase also what the server remembers of it. */
    public function removeDevice(string $registrationId, bool $erase = false): void
    {
        $this->transport->json('DELETE', '/v1/devices' . self::part($registrationId), query: ['erase' => $erase ? 'true' : null]);
    }

    /**
     * An alias with its devices.
     *
     * @return array<string, mixed>
     */
    public function alias(string $alias): array
    {
        return $this->transport->json('GET', '/v1/aliases' . self::part($alias));
    }

    /**
     * Binds devices to an alias, and unbinds others.
     *
     * @param list<string> $add
     * @param list<string> $remove
     *
     * @return array{added: int, removed: int, unknown: list<string>}
     */
    public function changeAlias(string $alias, array $add = [], array $remove = []): array
    {
        return $this->transport->json('POST', '/v1/aliases' . self::part($alias), self::members($add, $remove));
    }

    /** Unbinds every device of an alias. */
    public function deleteAlias(string $alias): void
    {
        $this->transport->json('DELETE', '/v1/aliases' . self::part($alias));
    }

    /**
     * The tags of the app, in byte order.
     *
     * @return \Generator<int, array{tag: string, devices: int}>
     */
    public function tags(string $prefix = ''): \Generator
    {
        return $this->each('/v1/tags', 'tags', ['prefix' => $prefix]);
    }

    /**
     * A tag with the number of its devices.
     *
     * @return array{tag: string, devices: int}
     */
    public function tag(string $tag): array
    {
        return $this->transport->json('GET', '/v1/tags' . self::part($tag));
    }

    /**
     * Gives devices a tag, and takes it from others.
     *
     * @param list<string> $add
     * @param list<string> $remove
     *
     * @return array{added: int, removed: int, unknown: list<string>}
     */
    public function changeTag(string $tag, array $add = [], array $remove = []): array
    {
        return $this->transport->json('POST', '/v1/tags' . self::part($tag), self::members($add, $remove));
    }

    /** Takes a tag from every device. */
    public function deleteTag(string $tag): void
    {
        $this->transport->json('DELETE', '/v1/tags' . self::part($tag));
    }

    /**
     * Saves an audience under a name, over one that has it.
     *
     * @return array<string, mixed>
     */
    public function setSegment(string $name, Audience $audience): array
    {
        return $this->transport->json('PUT', '/v1/segments' . self::part($name), ['audience' => $audience]);
    }

    /** Deletes a segment. */
    public function deleteSegment(string $name): void
    {
        $this->transport->json('DELETE', '/v1/segments' . self::part($name));
    }

    /**
     * @param list<string> $add
     * @param list<string> $remove
     */
    private static function members(array $add, array $remove): object
    {
        return (object) array_filter(['add' => array_values($add), 'remove' => array_values($remove)], static fn (array $a): bool => $a !== []);
    }
}
