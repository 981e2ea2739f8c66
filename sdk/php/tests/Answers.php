<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

use GuzzleHttp\Psr7\Response;
use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestInterface;
use Psr\Http\Message\ResponseInterface;

/** An HTTP client that gives prepared answers, and keeps what it was asked. */
final class Answers implements ClientInterface
{
    /** @var list<RequestInterface> */
    public array $requests = [];

    /** @param list<ResponseInterface|ClientExceptionInterface> $answers */
    public function __construct(private array $answers)
    {
    }

    public function sendRequest(RequestInterface $request): ResponseInterface
    {
        $this->requests[] = $request;
        $next = array_shift($this->answers) ?? throw new \LogicException('no answer is left');
        if ($next instanceof ClientExceptionInterface) {
            throw $next;
        }
        return $next;
    }

    /** @param array<string, string> $headers */
    public static function json(int $status, mixed $body, array $headers = []): Response
    {
        return new Response($status, ['Content-Type' => 'application/json'] + $headers, json_encode($body, \JSON_THROW_ON_ERROR));
    }

    /** @param array<string, string> $headers */
    public static function problem(int $status, string $code, array $headers = [], string $remedy = 'Do it better.', string $field = ''): Response
    {
        $problem = ['type' => 'about:blank', 'title' => 'No', 'status' => $status, 'code' => $code, 'detail' => 'it is wrong', 'remedy' => $remedy];
        return self::json($status, $problem + ($field === '' ? [] : ['field' => $field]), $headers);
    }

    public static function lost(): ClientExceptionInterface
    {
        return new class ('connection reset') extends \RuntimeException implements ClientExceptionInterface {
        };
    }

    /** The JSON body of a request that was made. */
    public function body(int $i): mixed
    {
        return json_decode((string) $this->requests[$i]->getBody(), true, 512, \JSON_THROW_ON_ERROR);
    }
}
