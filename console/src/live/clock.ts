// The time until which there may be calls: the browser's, or outrider's where that is ahead.

let aheadMs = 0;

/** Told of what time it was for outrider a moment ago. What was long on its way makes its clock look slow, and never fast. */
export function noteServerTime(atMs: number): void {
  aheadMs = Math.max(0, atMs - Date.now());
}

/** What time it is: never before a call of which outrider has told. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}
