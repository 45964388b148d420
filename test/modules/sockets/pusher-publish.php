<?php
// Publishes one event as any PHP application would, with nothing but the language itself.
[, $url, $id, $key, $secret, $channel, $name, $data] = $argv;
$body = json_encode(['name' => $name, 'channels' => [$channel], 'data' => $data]);
$path = "/apps/$id/events";
$query = 'auth_key=' . $key . '&auth_timestamp=' . time() . '&auth_version=1.0&body_md5=' . md5($body);
$signature = hash_hmac('sha256', "POST\n$path\n$query", $secret);
echo file_get_contents("$url$path?$query&auth_signature=$signature", false, stream_context_create([
    'http' => ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => $body],
]));
