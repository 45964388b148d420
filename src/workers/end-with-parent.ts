/** Loaded into a process before its program: it ends when whoever holds the other end of its standard input has gone. */
process.stdin.on('close', () => process.exit(1));
process.stdin.resume();
