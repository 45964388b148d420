import type { HistoryPage, HistoryQuery, Position, Publication } from '../ports/bus.ts';

/** What a query gets of a stream. @param kept oldest first; at least what came after `since`, as far as it is kept. */
export function toHistoryPage(at: Position, kept: readonly Publication[], query: HistoryQuery): HistoryPage {
  const { epoch, offset } = at;
  const { limit, since, isReverse = false } = query;
  const isSameEpoch = since === undefined || since.epoch === epoch;
  const oldest = kept[0]?.offset ?? offset + 1;
  const isUnbroken = since !== undefined && isSameEpoch && since.offset <= offset && since.offset + 1 >= oldest;
  const wanted = kept.filter((entry) => {
    if (since === undefined || !isSameEpoch) return true;
    return isReverse ? entry.offset < since.offset : entry.offset > since.offset;
  });
  if (isReverse) wanted.reverse();
  return { epoch, offset, publications: wanted.slice(0, limit), isUnbroken };
}
