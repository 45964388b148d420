/** CRC-32C (Castagnoli): reflected, polynomial 0x1EDC6F41, as in RFC 3720 §12.1 and RFC 9260 appendix A. */

const REVERSED_POLYNOMIAL = 0x82f63b78;

/** Eight tables, so that eight bytes are taken at a time ("slicing by 8"). */
const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [Table, Table, Table, Table, Table, Table, Table, Table];

type Table = Int32Array;

/** Goes on from the checksum of what came before, 0 at the start. @returns the checksum so far, as a signed number. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low = crc ^ word(bytes, at);
    const high = word(bytes, at + 4);
    crc =
      look(T7, low) ^
      look(T6, low >>> 8) ^
      look(T5, low >>> 16) ^
      look(T4, low >>> 24) ^
      look(T3, high) ^
      look(T2, high >>> 8) ^
      look(T1, high >>> 16) ^
      look(T0, high >>> 24);
  }
  for (; at < bytes.length; at++) crc = look(T0, crc ^ (bytes[at] as number)) ^ (crc >>> 8);
  return ~crc;
}

function look(table: Table, index: number): number {
  return table[index & 0xff] as number;
}

/** Four bytes, the first the lowest. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function makeTables(): Table[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ REVERSED_POLYNOMIAL : crc >>> 1;
    (tables[0] as Table)[byte] = crc;
  }
  for (let step = 1; step < 8; step++) {
    const [table, before] = [tables[step] as Table, tables[step - 1] as Table];
    for (let byte = 0; byte < 256; byte++) {
      table[byte] = look(tables[0] as Table, before[byte] as number) ^ ((before[byte] as number) >>> 8);
    }
  }
  return tables;
}
