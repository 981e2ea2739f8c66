<?php
// A call as the client of JPush for PHP makes it with curl: HTTP/1.1, Basic, the
// body as JSON. It prints the status, and the answer on the lines after it.
[, $url, $method, $auth, $body] = $argv;
$ch = curl_init();
curl_setopt($ch, CURLOPT_URL, $url);
curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);
curl_setopt($ch, CURLOPT_USERAGENT, 'JPush-API-PHP-Client');
curl_setopt($ch, CURLOPT_CONNECTTIMEOUT, 20);
curl_setopt($ch, CURLOPT_TIMEOUT, 120);
curl_setopt($ch, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
curl_setopt($ch, CURLOPT_USERPWD, $auth);
switch ($method) {
    case 'POST':
        curl_setopt($ch, CURLOPT_POST, true);
        break;
    case 'PUT':
    case 'DELETE':
        curl_setopt($ch, CURLOPT_CUSTOMREQUEST, $method);
        break;
}
if ($body !== '') {
    curl_setopt($ch, CURLOPT_POSTFIELDS, $body);
}
curl_setopt($ch, CURLOPT_HTTPHEADER, ['Content-Type: application/json', 'Connection: Keep-Alive']);
curl_setopt($ch, CURLOPT_HEADER, true);
$output = curl_exec($ch);
if ($output === false) {
    fwrite(STDERR, curl_error($ch) . "\n");
    exit(1);
}
$size = curl_getinfo($ch, CURLINFO_HEADER_SIZE);
echo curl_getinfo($ch, CURLINFO_HTTP_CODE), "\n", substr($output, $size);
