<?php

declare(strict_types=1);

/*
 * An example of an application beside the API. It knows who is signed in, and what it says is heard by every browser that listens to
 * the topic `public.hello`. Put your own application here, or point PHP_ROOT at one.
 */

function escape(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

/** Publishes a message to everybody who is subscribed to the topic. */
function publish(string $topic, mixed $data): bool
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'timeout' => 5,
        'ignore_errors' => true,
        'header' => [
            'Content-Type: application/json',
            'Authorization: Bearer ' . $_SERVER['BUNKHOUSE_PUBLISH_KEY'],
        ],
        'content' => json_encode(['topic' => $topic, 'data' => $data], JSON_THROW_ON_ERROR),
    ]]);
    $answer = file_get_contents($_SERVER['BUNKHOUSE_PUBLISH_URL'], false, $context);
    return $answer !== false && isset(json_decode($answer, true)['offset']);
}

session_start();
$_SESSION['token'] ??= bin2hex(random_bytes(16));
$name = $_SERVER['BUNKHOUSE_USER_NAME'] ?? '';
$notice = '';

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $text = trim((string) ($_POST['text'] ?? ''));
    if (!hash_equals($_SESSION['token'], (string) ($_POST['token'] ?? ''))) {
        http_response_code(403);
        $notice = 'This form was not ours.';
    } elseif ($text === '' || strlen($text) > 500) {
        http_response_code(422);
        $notice = 'Say something, in at most 500 bytes.';
    } else {
        $isHeard = publish('public.hello', ['from' => $name ?: 'somebody', 'text' => $text]);
        $notice = $isHeard ? 'Said.' : 'Nobody could hear it.';
    }
}

header("Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'");
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>PHP on Bunkhouse</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>Hello, <?= escape($name ?: 'visitor') ?></h1>
<p>PHP <?= escape(PHP_VERSION) ?> runs here, beside the API. <?= escape($notice) ?></p>
<form method="post">
  <input type="hidden" name="token" value="<?= escape($_SESSION['token']) ?>">
  <label>Say to all who listen: <input name="text" maxlength="500" required></label>
  <button>Say it</button>
</form>
</html>
