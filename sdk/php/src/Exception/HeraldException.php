<?php

declare(strict_types=1);

namespace HeraldPush\Exception;

/** What every exception of this package is. */
interface HeraldException extends \Throwable
{
}
