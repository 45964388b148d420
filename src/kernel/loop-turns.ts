/**
 * Numbers the turns of the event loop. What a turn handles was there when it began, so what is looked at once in a turn is as new as
 * if it had been looked at for each.
 */
export function createLoopTurns(): () => number {
  let turn = 0;
  let isEndNoted = false;
  return () => {
    if (!isEndNoted) {
      isEndNoted = true;
      setImmediate(() => {
        turn++;
        isEndNoted = false;
      });
    }
    return turn;
  };
}
