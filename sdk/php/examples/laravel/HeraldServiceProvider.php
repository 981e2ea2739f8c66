<?php

declare(strict_types=1);

namespace App\Providers;

use HeraldPush\Client;
use Illuminate\Support\ServiceProvider;

/**
 * Makes one client for the application of what config/services.php says:
 *
 *     'herald' => [
 *         'url' => env('HERALD_URL'),
 *         'key' => env('HERALD_APP_KEY'),
 *         'secret' => env('HERALD_MASTER_SECRET'),
 *     ],
 */
final class HeraldServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton(Client::class, static fn (): Client => Client::forApp(
            (string) config('services.herald.url'),
            (string) config('services.herald.key'),
            (string) config('services.herald.secret'),
        ));
    }
}
