<?php

declare(strict_types=1);

// The packages are those of Composer, or those of the system (Debian's
// php-guzzlehttp-guzzle and php-psr-http-*), which has no Composer in its tests.
$vendor = __DIR__ . '/../vendor/autoload.php';
require is_file($vendor) ? $vendor : 'GuzzleHttp/autoload.php';

spl_autoload_register(static function (string $class): void {
    foreach (['HeraldPush\\Tests\\' => __DIR__, 'HeraldPush\\' => __DIR__ . '/../src'] as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = $folder . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (is_file($file)) {
                require $file;
            }
            return;
        }
    }
});
