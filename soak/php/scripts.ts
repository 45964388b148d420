/** Bytes of one block of `out.php`. */
export const BLOCK_BYTES = 2 ** 20;

/** What runs. Scripts say who runs them, so that the others can be killed. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  'hello.php': '<?php echo "hello";',
  // Each block repeats its number.
  'out.php':
    '<?php set_time_limit(0); header("X-Pid: " . getmypid()); for ($i = 0; $i < $_GET["blocks"]; $i++) echo str_repeat(pack("N", $i), 1 << 18);',
  // Begins to answer before it has read a byte.
  'in.php':
    '<?php set_time_limit(0); header("X-Pid: " . getmypid()); while (ob_get_level()) ob_end_flush(); echo "reading "; flush();' +
    '$in = fopen("php://input", "rb"); $hash = hash_init("md5"); echo hash_update_stream($hash, $in), " ", hash_final($hash);',
  'file.php': '<?php set_time_limit(0); $f = $_FILES["file"]; echo $f["size"], " ", md5_file($f["tmp_name"]);',
};

/** Checks that what comes is what `out.php` writes, in order and without a gap. */
export function createBlockChecker() {
  let at = 0;
  let block: Buffer = Buffer.alloc(0);
  return {
    /** Bytes that were right. */
    get size() {
      return at;
    },
    /** @returns whether they are those that had to come next. */
    take(chunk: Uint8Array): boolean {
      for (let from = 0; from < chunk.length; ) {
        const inBlock = at % BLOCK_BYTES;
        if (inBlock === 0) block = blockOf(at / BLOCK_BYTES);
        const length = Math.min(chunk.length - from, BLOCK_BYTES - inBlock);
        if (block.compare(chunk, from, from + length, inBlock, inBlock + length) !== 0) return false;
        at += length;
        from += length;
      }
      return true;
    },
  };
}

function blockOf(index: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(index);
  return Buffer.alloc(BLOCK_BYTES, number);
}
