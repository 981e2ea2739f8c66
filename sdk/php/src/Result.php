<?php

declare(strict_types=1);

namespace HeraldPush;

use HeraldPush\Exception\Refused;

/** What came of one message of a batch: either it was accepted, or it was refused. */
final class Result
{
    public function __construct(public readonly ?Sent $sent, public readonly ?Refused $error)
    {
    }

    /** Gives what was accepted, or throws why it was not. */
    public function get(): Sent
    {
        return $this->sent ?? throw $this->error ?? new \LogicException('herald: a result is empty');
    }
}
