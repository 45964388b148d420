/** Loaded into a server before it starts: on SIGUSR2 something is thrown that nobody catches, and something rejects. */
process.on('SIGUSR2', () => {
  setTimeout(() => {
    throw new Error('thrown by nobody');
  });
  Promise.reject(new Error('rejected by nobody'));
  Promise.reject(null);
});
