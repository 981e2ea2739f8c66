<?php

declare(strict_types=1);

namespace HeraldPush\Exception;

/**
 * The server refused a call and did nothing of it. It says why, and what to do
 * about it (RFC 9457, application/problem+json).
 */
final class Refused extends \RuntimeException implements HeraldException
{
    /**
     * @param int         $status     HTTP status.
     * @param string      $reason     Stable code: invalid_request, unauthorized, forbidden, not_found, conflict,
     *                                idempotency_conflict, too_large, rate_limited, limit_reached,
     *                                storage_unavailable, draining, internal; "" if what answered was not Herald.
     * @param string      $remedy     What to do about it, in words; "" if the server said nothing.
     * @param string|null $field      The member of the request that is at fault.
     * @param int|null    $retryAfter Seconds after which another try may succeed.
     */
    public function __construct(
        string $message,
        public readonly int $status,
        public readonly string $reason = '',
        public readonly string $remedy = '',
        public readonly ?string $field = null,
        public readonly ?int $retryAfter = null,
    ) {
        parent::__construct($remedy === '' ? $message : "$message. $remedy", $status);
    }

    /**
     * Makes one of an answer.
     *
     * @internal
     */
    public static function fromAnswer(int $status, string $body, ?string $retryAfter): self
    {
        $problem = json_decode($body, true);
        if (!is_array($problem) || !is_string($problem['code'] ?? null)) {
            return new self("herald: the server answered with status $status and no reason", $status, retryAfter: self::seconds($retryAfter));
        }
        return self::fromProblem($problem, $status, $retryAfter);
    }

    /**
     * Makes one of a decoded problem document.
     *
     * @internal
     *
     * @param array<string, mixed> $problem
     */
    public static function fromProblem(array $problem, int $status, ?string $retryAfter = null): self
    {
        $text = static fn (string $name): string => is_string($problem[$name] ?? null) ? $problem[$name] : '';
        return new self(
            'herald: ' . ($text('detail') !== '' ? $text('detail') : $text('title')),
            $status,
            $text('code'),
            $text('remedy'),
            $text('field') === '' ? null : $text('field'),
            self::seconds($retryAfter),
        );
    }

    private static function seconds(?string $retryAfter): ?int
    {
        return $retryAfter !== null && ctype_digit($retryAfter) ? (int) $retryAfter : null;
    }
}
