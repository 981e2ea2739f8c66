<?php

declare(strict_types=1);

namespace HeraldPush\Exception;

/** What was given to this package cannot be used; nothing was sent. */
final class InvalidArgument extends \InvalidArgumentException implements HeraldException
{
}
