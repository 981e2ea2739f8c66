<?php

declare(strict_types=1);

namespace HeraldPush;

/** What the server answered to a message that it has accepted. */
final class Sent
{
    /**
     * @param string   $id       Of the message: decimal digits.
     * @param int|null $target   Devices in the audience; null if the message is for later.
     * @param int|null $estimate For a message for later: what the target would be now.
     * @param int      $unknown  Registration IDs and aliases in the audience that nobody has.
     * @param bool     $stored   The message is on stable storage; false only for TTL 0.
     */
    public function __construct(
        public readonly string $id,
        public readonly ?int $target,
        public readonly ?int $estimate,
        public readonly int $unknown,
        public readonly bool $stored,
    ) {
    }

    /**
     * @internal
     *
     * @param array<string, mixed> $answer
     */
    public static function fromAnswer(array $answer): self
    {
        return new self(
            (string) ($answer['id'] ?? ''),
            isset($answer['target']) ? (int) $answer['target'] : null,
            isset($answer['estimate']) ? (int) $answer['estimate'] : null,
            (int) ($answer['unknown'] ?? 0),
            (bool) ($answer['stored'] ?? false),
        );
    }
}
