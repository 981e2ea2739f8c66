<?php

declare(strict_types=1);

namespace HeraldPush\Tests;

/** A server of its own on a free port: the binary that the environment variable HERALD names. */
final class Herald
{
    public readonly string $url;
    public readonly string $appKey;
    public readonly string $secret;
    /** @var resource */
    private $process;
    private readonly string $folder;

    public function __construct()
    {
        $this->folder = sys_get_temp_dir() . '/herald-php-' . bin2hex(random_bytes(6));
        mkdir($this->folder, 0700);
        $log = $this->folder . '/log';
        $process = proc_open(
            [(string) getenv('HERALD'), 'dev', '--data', $this->folder . '/data'],
            [['file', '/dev/null', 'r'], ['file', $log, 'w'], ['file', $log, 'a']],
            $pipes,
            $this->folder,
            ['HERALD_SERVER__HTTP' => '127.0.0.1:' . random_int(20000, 31999), 'HERALD_SERVER__OPS' => '127.0.0.1:0', 'HERALD_SERVER__TCP' => '127.0.0.1:0'] + getenv(),
        );
        if (!is_resource($process)) {
            throw new \RuntimeException('the server cannot be started');
        }
        $this->process = $process;
        $context = self::await('the server is ready', function () use ($log): ?array {
            if (!proc_get_status($this->process)['running']) {
                throw new \RuntimeException("the server has ended:\n" . file_get_contents($log));
            }
            $context = json_decode((string) @file_get_contents($this->folder . '/data/context.json'), true);
            return is_array($context) && @file_get_contents($context['url'] . '/readyz') !== false ? $context : null;
        });
        $this->url = rtrim($context['url'], '/');
        $this->appKey = $context['app_key'];
        $this->secret = $context['master_secret'];
    }

    /**
     * Waits until something is there, and gives it.
     *
     * @template T
     *
     * @param \Closure(): (T|null) $what
     *
     * @return T
     */
    public static function await(string $name, \Closure $what): mixed
    {
        for ($end = microtime(true) + 60; microtime(true) < $end; usleep(20_000)) {
            $found = $what();
            if ($found !== null) {
                return $found;
            }
        }
        throw new \RuntimeException("waited 60 s in vain: $name");
    }

    public function stop(): void
    {
        proc_terminate($this->process, 9);
        proc_close($this->process);
        $files = new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($this->folder, \FilesystemIterator::SKIP_DOTS), \RecursiveIteratorIterator::CHILD_FIRST);
        foreach ($files as $file) {
            $file->isDir() ? rmdir($file->getPathname()) : unlink($file->getPathname());
        }
        rmdir($this->folder);
    }
}
