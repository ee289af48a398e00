// Preloaded into a program by a test: on SIGUSR2 an exception is thrown that nothing catches.

process.on("SIGUSR2", () => {
  setTimeout(() => {
    throw new Error("made to fail");
  });
});
