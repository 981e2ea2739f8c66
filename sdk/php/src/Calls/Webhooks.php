<?php

declare(strict_types=1);

namespace HeraldPush\Calls;

use HeraldPush\Transport;

/**
 * Addresses that the server calls with what happens. {@see \HeraldPush\Webhook}
 * verifies what comes.
 *
 * @internal part of {@see \HeraldPush\Client}
 */
trait Webhooks
{
    /**
     * Has the server call an address from now on. Keep the member secret of the
     * answer: it is shown once, and verifies what comes.
     *
     * @param list<string> $events Types or families such as "receipt.*"; none means all.
     *
     * @return array<string, mixed>
     */
    public function createWebhook(string $url, array $events = [], string $description = ''): array
    {
        $spec = array_filter(['url' => $url, 'events' => array_values($events), 'description' => $description], static fn (mixed $v): bool => $v !== [] && $v !== '');
        return $this->transport->json('POST', '/v1/webhooks', $spec, again: Transport::SINGLE);
    }

    /**
     * The webhooks of the app.
     *
     * @return list<array<string, mixed>>
     */
    public function webhooks(): array
    {
        return $this->transport->json('GET', '/v1/webhooks')['webhooks'] ?? [];
    }

    /**
     * A webhook and how it does.
     *
     * @return array<string, mixed>
     */
    public function webhook(string $id): array
    {
        return $this->transport->json('GET', '/v1/webhooks' . self::part($id));
    }

    /**
     * Changes a webhook: url, description, events, disabled.
     *
     * @param array<string, mixed> $changes
     *
     * @return array<string, mixed>
     */
    public function updateWebhook(string $id, array $changes): array
    {
        return $this->transport->json('PATCH', '/v1/webhooks' . self::part($id), (object) $changes);
    }

    /** Deletes a webhook; what it was not sent yet is dropped. */
    public function deleteWebhook(string $id): void
    {
        $this->transport->json('DELETE', '/v1/webhooks' . self::part($id));
    }

    /**
     * Gives a webhook another secret. For $overlapSeconds both sign.
     *
     * @return array<string, mixed> with the new secret
     */
    public function rotateWebhook(string $id, ?int $overlapSeconds = null): array
    {
        $body = $overlapSeconds === null ? [] : ['overlap' => $overlapSeconds];
        return $this->transport->json('POST', '/v1/webhooks' . self::part($id) . '/rotate', (object) $body, again: Transport::SINGLE);
    }

    /**
     * Has the server call a webhook with a test event.
     *
     * @return array<string, mixed> the delivery
     */
    public function testWebhook(string $id): array
    {
        return $this->transport->json('POST', '/v1/webhooks' . self::part($id) . '/test', again: Transport::SINGLE);
    }
}
