<?php

declare(strict_types=1);

namespace App\Notifications\Channels;

use HeraldPush\Audience;
use HeraldPush\Client;
use HeraldPush\Message;
use HeraldPush\Sent;
use Illuminate\Notifications\Notification;

/**
 * A notification channel of Laravel. A notification that lists this class in
 * via() has a method toHerald that gives a Message, or the members of its
 * visible part:
 *
 *     public function via(object $notifiable): array
 *     {
 *         return [HeraldChannel::class];
 *     }
 *
 *     public function toHerald(object $notifiable): array
 *     {
 *         return ['title' => 'Your order is on its way', 'click' => route('orders.show', $this->order)];
 *     }
 *
 * Who is notified says by routeNotificationForHerald which alias it has; without
 * that, its key is the alias.
 */
final class HeraldChannel
{
    public function __construct(private readonly Client $herald)
    {
    }

    public function send(object $notifiable, Notification $notification): ?Sent
    {
        $route = method_exists($notifiable, 'routeNotificationFor') ? $notifiable->routeNotificationFor('herald', $notification) : null;
        $route ??= method_exists($notifiable, 'getKey') ? $notifiable->getKey() : null;
        if ($route === null || $route === '') {
            return null; // nobody to send it to
        }
        $audience = $route instanceof Audience ? $route : Audience::alias((string) $route);
        /** @phpstan-ignore-next-line the method is the notification's own */
        $content = $notification->toHerald($notifiable);
        $message = $content instanceof Message ? $content->with('audience', $audience) : Message::to($audience)->notification($content);
        // A job of the queue that runs again must not send again.
        if ($message->idempotencyKey() === null && isset($notification->id)) {
            $message = $message->once('laravel-' . $notification->id);
        }
        return $this->herald->send($message);
    }
}
