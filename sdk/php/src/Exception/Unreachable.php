<?php

declare(strict_types=1);

namespace HeraldPush\Exception;

/**
 * There was no answer, or none that can be understood. Whether the server did
 * what it was asked is not known; a message that is sent again with the same
 * idempotency key is sent once.
 */
final class Unreachable extends \RuntimeException implements HeraldException
{
}
