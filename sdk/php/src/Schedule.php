<?php

declare(strict_types=1);

namespace HeraldPush;

/**
 * The times at which a message is sent. Times of the day are as "09:00", in the
 * time zone that in() names, which is UTC without it. A schedule never changes:
 * each method gives a new one.
 *
 *     Schedule::weekly('09:00', 'mon', 'fri')->in('Asia/Shanghai')
 */
final class Schedule implements \JsonSerializable
{
    /**
     * @param array<string, mixed> $trigger
     * @param array<string, mixed> $others
     */
    private function __construct(private readonly array $trigger, private readonly array $others = [])
    {
    }

    /** Once, at most a year ahead. */
    public static function once(\DateTimeInterface $at): self
    {
        return new self(['at' => $at->format(\DateTimeInterface::RFC3339)]);
    }

    /** Every day, or every $every days. */
    public static function daily(string $time, int $every = 1): self
    {
        return self::unit('day', $time, $every);
    }

    /** On days of the week: mon, tue, wed, thu, fri, sat, sun. */
    public static function weekly(string $time, string ...$weekdays): self
    {
        return self::unit('week', $time, 1)->with('weekdays', array_values($weekdays));
    }

    /** On days of the month, in months that have them; -1 is the last one. */
    public static function monthly(string $time, int ...$days): self
    {
        return self::unit('month', $time, 1)->with('days', array_values($days));
    }

    /** By a cron expression of five fields. */
    public static function cron(string $expression): self
    {
        return new self(['cron' => $expression]);
    }

    private static function unit(string $unit, string $time, int $every): self
    {
        return new self(['unit' => $unit, 'time' => $time] + ($every === 1 ? [] : ['every' => $every]));
    }

    /** Every so many of its units: every second week, for example. */
    public function every(int $units): self
    {
        return $this->with('every', $units);
    }

    /** Not before, and not after. */
    public function between(?\DateTimeInterface $start, ?\DateTimeInterface $end): self
    {
        $out = $start === null ? $this : $this->with('start', $start->format(\DateTimeInterface::RFC3339));
        return $end === null ? $out : $out->with('end', $end->format(\DateTimeInterface::RFC3339));
    }

    /** In a time zone, by its IANA name. */
    public function in(string $zone): self
    {
        return new self($this->trigger, ['zone' => $zone] + $this->others);
    }

    /** By the clock of each device. */
    public function localTime(): self
    {
        return $this->in('recipient');
    }

    /** What fell due while the server was down is left out; without this, the last of it is sent late. */
    public function skipMissed(): self
    {
        return new self($this->trigger, ['missed' => 'skip'] + $this->others);
    }

    private function with(string $name, mixed $value): self
    {
        return new self([$name => $value] + $this->trigger, $this->others);
    }

    /** @return array<string, mixed> */
    public function jsonSerialize(): array
    {
        return ['trigger' => $this->trigger] + $this->others;
    }
}
