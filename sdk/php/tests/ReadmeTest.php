<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

use PHPUnit\Framework\TestCase;

/** The examples of the README files, as they are written there, against the real binary. */
final class ReadmeTest extends TestCase
{
    private const FILES = ['README.md', 'README.zh-CN.md'];

    /** @return array<string, string> */
    private static function examples(string $file): array
    {
        preg_match_all('/<!-- run: (\w+) -->\n```php\n(.+?)```/s', (string) file_get_contents(__DIR__ . "/../$file"), $found, \PREG_SET_ORDER);
        return array_column($found, 2, 1);
    }

    public function testTheLanguagesHaveTheSameExamples(): void
    {
        $names = array_map(static fn (string $f): array => array_keys(self::examples($f)), self::FILES);
        self::assertSame(['first', 'sending', 'batch', 'times', 'webhook'], $names[0]);
        self::assertSame($names[0], $names[1]);
    }

    public function testExamples(): void
    {
        if (getenv('HERALD') === false) {
            self::markTestSkipped('the environment variable HERALD does not name the binary of a server');
        }
        $herald = new Herald();
        try {
            $want = [
                'first' => '/^message \d+ to 0 devices\n$/',
                'sending' => '/^0 devices\n(done|sending)\n$/',
                'batch' => '/^anna: \d+\nbob: \d+\n$/',
                'times' => '/^\d{4}-\d\d-\d\dT09:00:00\n\d{4}-\d\d-\d\dT09:00:00\n$/',
                'webhook' => '/has no webhook-id/', // nobody has called
            ];
            foreach (self::FILES as $file) {
                foreach (self::examples($file) as $name => $code) {
                    self::assertMatchesRegularExpression($want[$name], self::output($herald, $code), "$file: $name");
                }
            }
        } finally {
            $herald->stop();
        }
    }

    private static function output(Herald $herald, string $code): string
    {
        // The command line knows no request headers.
        $code = strtr($code, ["'https://push.example.com'" => var_export($herald->url, true), 'getallheaders()' => '[]']);
        $file = (string) tempnam(sys_get_temp_dir(), 'herald-php-');
        file_put_contents($file, "<?php\nrequire " . var_export(__DIR__ . '/bootstrap.php', true) . ";\n" . $code);
        $env = ['HERALD_APP_KEY' => $herald->appKey, 'HERALD_MASTER_SECRET' => $herald->secret, 'HERALD_WEBHOOK_SECRET' => 'whsec_AAAA'] + getenv();
        $process = proc_open([\PHP_BINARY, $file], [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes, null, $env);
        self::assertIsResource($process);
        $output = (string) stream_get_contents($pipes[1]);
        proc_close($process);
        unlink($file);
        return $output;
    }
}
