<?php

declare(strict_types=1);

namespace HeraldPush;

use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;

/** The choices of a client. Without any it is useful. */
final class Options
{
    /**
     * @param ClientInterface|null         $http     Makes the requests (PSR-18). Default: Guzzle, or Symfony's
     *                                               client, whichever is installed, with 30 s for each try.
     * @param RequestFactoryInterface|null $requests Makes request objects (PSR-17). Default: those of Guzzle or Nyholm.
     * @param StreamFactoryInterface|null  $streams  Makes their bodies (PSR-17). Default: the same.
     * @param int                          $tries    How often a call is tried in all; 1 means once.
     * @param float                        $minWait  Seconds between the first two tries at most. The wait doubles,
     *                                               and is drawn at random below its bound.
     * @param float                        $maxWait  Its bound, in seconds. What the server asks for with Retry-After
     *                                               counts in its place, and is waited for if it is no longer than
     *                                               $maxRetryAfter seconds.
     * @param int                          $maxRetryAfter 0 gives every such refusal back at once.
     */
    public function __construct(
        public readonly ?ClientInterface $http = null,
        public readonly ?RequestFactoryInterface $requests = null,
        public readonly ?StreamFactoryInterface $streams = null,
        public readonly int $tries = 4,
        public readonly float $minWait = 0.2,
        public readonly float $maxWait = 5.0,
        public readonly int $maxRetryAfter = 20,
    ) {
    }
}
