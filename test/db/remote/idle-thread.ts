/** A thread that does nothing: whatever holds it up is the machine. Writes its longest turn, in milliseconds, to the buffer. */
export {};

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const longest = new Float64Array(data);
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    longest[0] = Math.max(longest[0] ?? 0, now - last);
    last = now;
  }, 1);
  self.postMessage('watching');
};
