<?php

declare(strict_types=1);

namespace HeraldPush\Exception;

/**
 * A request that says that it is a webhook cannot be trusted. Answer it with
 * status 400 and use nothing of it.
 */
final class InvalidWebhook extends \RuntimeException implements HeraldException
{
}
