<?php

declare(strict_types=1);

namespace HeraldPush;

use HeraldPush\Exception\InvalidArgument;
use HeraldPush\Exception\Refused;
use HeraldPush\Exception\Unreachable;
use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;

/**
 * Makes calls, and makes them again while that may help.
 *
 * @internal
 */
final class Transport
{
    private const JSON = \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE | \JSON_PRESERVE_ZERO_FRACTION;

    /** Safe to repeat: the call says what shall be, or bears an idempotency key. */
    public const REPEATABLE = true;
    /** Repeated only where the server said that it did nothing. */
    public const SINGLE = false;

    private readonly string $base;
    private readonly ClientInterface $http;
    private readonly RequestFactoryInterface $requests;
    private readonly StreamFactoryInterface $streams;
    /** @var \Closure(float): void */
    private \Closure $sleep;

    public function __construct(string $url, private readonly string $authorization, private readonly Options $options)
    {
        $parts = parse_url($url);
        if (!is_array($parts) || !in_array($parts['scheme'] ?? '', ['http', 'https'], true) || ($parts['host'] ?? '') === ''
            || isset($parts['user']) || isset($parts['query']) || isset($parts['fragment'])) {
            throw new InvalidArgument('herald: the address of the server must be like https://push.example.com');
        }
        if (preg_match('/[\r\n]/', $authorization) === 1) {
            throw new InvalidArgument('herald: the credentials contain a line break');
        }
        $this->base = rtrim($url, '/');
        [$http, $factory] = self::found($options);
        $this->http = $options->http ?? $http;
        $this->requests = $options->requests ?? $factory;
        $this->streams = $options->streams ?? $factory;
        $this->sleep = static function (float $seconds): void {
            usleep((int) ($seconds * 1e6));
        };
    }

    /**
     * What is installed, for what was not given.
     *
     * @return array{?ClientInterface, null|(RequestFactoryInterface&StreamFactoryInterface)}
     */
    private static function found(Options $o): array
    {
        $http = $factory = null;
        if ($o->requests === null || $o->streams === null) {
            foreach (['GuzzleHttp\Psr7\HttpFactory', 'Nyholm\Psr7\Factory\Psr17Factory'] as $class) {
                if ($factory === null && class_exists($class)) {
                    $factory = new $class();
                }
            }
        }
        if ($o->http === null) {
            if (class_exists('GuzzleHttp\Client') && is_a('GuzzleHttp\Client', ClientInterface::class, true)) {
                $http = new \GuzzleHttp\Client(['timeout' => 30, 'allow_redirects' => false]);
            } elseif (class_exists('Symfony\Component\HttpClient\Psr18Client') && $factory !== null) {
                $http = new \Symfony\Component\HttpClient\Psr18Client(
                    \Symfony\Component\HttpClient\HttpClient::create(['timeout' => 30, 'max_redirects' => 0]),
                    $factory,
                    $factory,
                );
            }
        }
        if (($o->http ?? $http) === null || ($o->requests ?? $factory) === null || ($o->streams ?? $factory) === null) {
            throw new InvalidArgument('herald: no HTTP client (PSR-18) with message factories (PSR-17) is installed: '
                . 'run "composer require guzzlehttp/guzzle", or give one in the options');
        }
        return [$http, $factory];
    }

    /**
     * Has waits made in another way, for tests.
     *
     * @param \Closure(float): void $sleep
     */
    public function sleepWith(\Closure $sleep): void
    {
        $this->sleep = $sleep;
    }

    /**
     * Makes a call with a JSON body, and gives the decoded answer.
     *
     * @param array<string, scalar|null> $query   Members that are null are left out.
     * @param array<string, string>      $headers
     *
     * @return array<mixed>
     */
    public function json(string $method, string $path, mixed $body = null, array $query = [], array $headers = [], bool $again = self::REPEATABLE): array
    {
        $text = null;
        if ($body !== null) {
            $text = self::encode($body);
            $headers['Content-Type'] = 'application/json';
        }
        $answer = $this->send($method, $path, $text, $query, $headers, $again);
        if ($answer === '') {
            return [];
        }
        $decoded = json_decode($answer, true, 512, \JSON_BIGINT_AS_STRING);
        if (!is_array($decoded)) {
            throw new Unreachable("herald: $method $path: the answer is not JSON; check that the address is that of a Herald server");
        }
        return $decoded;
    }

    /** Encodes a value as the API takes it. */
    public static function encode(mixed $value): string
    {
        try {
            return json_encode($value, self::JSON);
        } catch (\JsonException $e) {
            throw new InvalidArgument('herald: what is to be sent cannot be written as JSON: ' . $e->getMessage(), 0, $e);
        }
    }

    /**
     * Makes a call and gives the body of its answer.
     *
     * @param array<string, scalar|null> $query
     * @param array<string, string>      $headers
     */
    public function send(string $method, string $path, ?string $body, array $query, array $headers, bool $again): string
    {
        for ($try = 1, $bound = $this->options->minWait; ; $try++, $bound = min(2 * $bound, $this->options->maxWait)) {
            try {
                return $this->once($method, $path, $body, $query, $headers);
            } catch (Refused $e) {
                if ($try > 1 && $method === 'DELETE' && $e->status === 404) {
                    return ''; // an earlier try removed it, and its answer was lost
                }
                $undone = in_array($e->reason, ['rate_limited', 'draining'], true);
                if ($try >= $this->options->tries || !($undone || $again && in_array($e->status, [429, 502, 503, 504], true))
                    || $e->retryAfter > $this->options->maxRetryAfter) {
                    throw $e;
                }
                $asked = (float) ($e->retryAfter ?? 0);
            } catch (Unreachable $e) {
                if ($try >= $this->options->tries || !$again) {
                    throw $e;
                }
                $asked = 0.0;
            }
            // A little more than asked, so that callers do not return as one.
            ($this->sleep)($asked + $bound * random_int(1, 1000) / 1000);
        }
    }

    /**
     * @param array<string, scalar|null> $query
     * @param array<string, string>      $headers
     */
    private function once(string $method, string $path, ?string $body, array $query, array $headers): string
    {
        $address = $this->base . $path;
        $query = array_map(
            static fn (mixed $v): string => is_bool($v) ? ($v ? 'true' : 'false') : (string) $v,
            array_filter($query, static fn (mixed $v): bool => $v !== null && $v !== ''),
        );
        if ($query !== []) {
            $address .= '?' . http_build_query($query, '', '&', \PHP_QUERY_RFC3986);
        }
        $request = $this->requests->createRequest($method, $address)
            ->withHeader('Authorization', $this->authorization)
            ->withHeader('Accept', 'application/json, application/problem+json')
            ->withHeader('User-Agent', 'herald-php');
        foreach ($headers as $name => $value) {
            $request = $request->withHeader($name, $value);
        }
        if ($body !== null) {
            $request = $request->withBody($this->streams->createStream($body));
        }
        try {
            $response = $this->http->sendRequest($request);
            $text = (string) $response->getBody();
        } catch (ClientExceptionInterface | \RuntimeException $e) {
            throw new Unreachable("herald: $method $path: no answer from the server: " . $e->getMessage(), 0, $e);
        }
        $status = $response->getStatusCode();
        if ($status < 200 || $status > 299) {
            throw Refused::fromAnswer($status, $text, $response->hasHeader('Retry-After') ? $response->getHeaderLine('Retry-After') : null);
        }
        return $text;
    }
}
