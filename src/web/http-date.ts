const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = '(\\d{2}):(\\d{2}):(\\d{2})';
const IMF_FIXDATE = new RegExp(`^${DAY}, (\\d{2}) (${MONTHS.join('|')}) (\\d{4}) ${TIME} GMT$`);
const RFC_850 = new RegExp(`^${LONG_DAY}, (\\d{2})-(${MONTHS.join('|')})-(\\d{2}) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^${DAY} (${MONTHS.join('|')}) ([ \\d]\\d) ${TIME} (\\d{4})$`);

/** An HTTP date (RFC 9110 §5.6.7), cut to the second. */
export function toHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

/** Milliseconds since the epoch from any of the three forms of RFC 9110 §5.6.7; `null` when the text is none of them. */
export function parseHttpDate(text: string): number | null {
  const fixed = IMF_FIXDATE.exec(text);
  if (fixed) return toMs(fixed[3], fixed[2], fixed[1], fixed.slice(4, 7));
  const asctime = ASCTIME.exec(text);
  if (asctime) return toMs(asctime[6], asctime[1], asctime[2], asctime.slice(3, 6));
  const rfc850 = RFC_850.exec(text);
  if (rfc850) {
    // A two-digit year more than 50 years ahead is the most recent past year with these digits.
    const thisYear = new Date().getUTCFullYear();
    const year = thisYear - (thisYear % 100) + Number(rfc850[3]);
    return toMs(String(year > thisYear + 50 ? year - 100 : year), rfc850[2], rfc850[1], rfc850.slice(4, 7));
  }
  return null;
}

function toMs(year = '', month = '', day = '', [hours, minutes, seconds]: readonly string[] = []): number | null {
  const [h, m, s, d] = [Number(hours), Number(minutes), Number(seconds), Number(day)];
  // A leap second (60) counts as the next second.
  if (h > 23 || m > 59 || s > 60 || d < 1 || d > 31) return null;
  return Date.UTC(Number(year), MONTHS.indexOf(month), d, h, m, s);
}
